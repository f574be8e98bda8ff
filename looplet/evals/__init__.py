"""Judging finished runs: `eval_*` functions, what they return, and what lets a session pass.

    def eval_is_short(ctx):
        return ctx.step_count <= 5

`ctx` is an `EvalContext`. `eval_run` runs evals over one run, `eval_run_batch` over many, `EvalHook` at the
end of a live run, `eval_cli` from the command line; pytest collects the same functions.
"""

from looplet.lazy import names_of

TYPE_CHECKING = False  # what typing.TYPE_CHECKING is at run time, without importing typing
if TYPE_CHECKING:
    from looplet.evals.case import (
        AgentCase as AgentCase,
        Case as Case,
        CaseError as CaseError,
        parse_cases as parse_cases,
        read_json_cases as read_json_cases,
    )
    from looplet.evals.cli import eval_cli as eval_cli
    from looplet.evals.context import EvalContext as EvalContext, SavedRun as SavedRun
    from looplet.evals.discover import EvalFileError as EvalFileError, eval_discover as eval_discover
    from looplet.evals.gate import Standing as Standing, Verdict as Verdict, verdict as verdict
    from looplet.evals.hook import EvalHook as EvalHook
    from looplet.evals.judge import JudgeFailed as JudgeFailed, rubric as rubric
    from looplet.evals.marks import (
        Demands as Demands,
        demands_of as demands_of,
        eval_mark as eval_mark,
        marks_of as marks_of,
    )
    from looplet.evals.result import EvalResult as EvalResult
    from looplet.evals.run import eval_run as eval_run, eval_run_batch as eval_run_batch

_NAMES = {
    "case": "AgentCase Case CaseError parse_cases read_json_cases",
    "cli": "eval_cli",
    "context": "EvalContext SavedRun",
    "discover": "EvalFileError eval_discover",
    "gate": "Standing Verdict verdict",
    "hook": "EvalHook",
    "marks": "Demands demands_of eval_mark marks_of",
    "result": "EvalResult",
    "judge": "JudgeFailed rubric",
    "run": "eval_run eval_run_batch",
}
"""Module, and the public names it gives to this package."""

__all__, __getattr__ = names_of(__name__, _NAMES)  # pyright: ignore[reportUnsupportedDunderAll]
