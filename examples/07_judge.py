"""A judge: a model that grades what an agent wrote, by criteria, with a grade for each.

Prints:
    eval_tone                                0.90 kind=0.80 clear=1.00 It is warm and says what happens next.
"""

from looplet import EvalContext, eval_run, run_loop
from looplet.evals import rubric
from looplet.testing import ScriptedBackend, ScriptedChatBackend


def eval_tone(ctx, llm):
    return rubric(ctx, {"kind": "It is friendly.", "clear": "It says what happens next."}, llm)


agent = ScriptedChatBackend("I am sorry about your teapot. The money is with you on Monday.")
judge = ScriptedBackend(
    '{"grades": {"kind": 4, "clear": 5}, "reason": "It is warm and says what happens next."}'
)

run = run_loop(agent, "My teapot arrived broken.", tools=[])
for result in eval_run([eval_tone], EvalContext.from_trajectory(run), judge_llm=judge):
    print(result.pretty())
