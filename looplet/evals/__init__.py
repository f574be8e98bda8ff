"""Judging finished runs: `eval_*` functions, what they return, and what lets a session pass.

    def eval_is_short(ctx):
        return ctx.step_count <= 5

`ctx` is an `EvalContext`. `eval_run` runs evals over one run, `eval_run_batch` over many, `EvalHook` at the
end of a live run, `eval_cli` from the command line; pytest collects the same functions.
"""

from looplet.evals.case import AgentCase, Case, CaseError, parse_cases, read_json_cases
from looplet.evals.cli import eval_cli
from looplet.evals.context import EvalContext
from looplet.evals.discover import EvalFileError, eval_discover
from looplet.evals.gate import Standing, Verdict, verdict
from looplet.evals.hook import EvalHook
from looplet.evals.marks import Demands, demands_of, eval_mark, marks_of
from looplet.evals.result import EvalResult
from looplet.evals.run import eval_run, eval_run_batch

__all__ = [
    "AgentCase",
    "Case",
    "CaseError",
    "Demands",
    "EvalContext",
    "EvalFileError",
    "EvalHook",
    "EvalResult",
    "Standing",
    "Verdict",
    "demands_of",
    "eval_cli",
    "eval_discover",
    "eval_mark",
    "eval_run",
    "eval_run_batch",
    "marks_of",
    "parse_cases",
    "read_json_cases",
    "verdict",
]
