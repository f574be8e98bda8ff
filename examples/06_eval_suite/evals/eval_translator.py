"""Four evals: a built-in, a verdict, a score with a threshold, and one that gates on all cases together."""

from looplet import eval_mark
from looplet.evals.builtin import only_tools

eval_keeps_to_its_tools = only_tools("look_up")


def eval_is_right(ctx):
    return ctx.expected in ctx.final_output["answer"]


@eval_mark("cost", threshold=0.5)
def eval_is_brief(ctx):
    return 1.0 / max(1, ctx.step_count - 1)


@eval_mark("habit", min_mean=0.9)
def eval_looks_up_before_it_answers(ctx):
    return 1.0 if ctx.tool_sequence[0] == "look_up" else 0.0
