"""What a person sees when an eval is red: why, which eval of which case, and the run that was judged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from looplet.evals.context import EvalContext
from looplet.evals.gate import Verdict
from looplet.evals.result import EvalResult
from looplet.text import columns, shorten, show_value
from looplet.trajectory.table import step_table
from pytest_looplet.evals.cell import Cell
from pytest_looplet.failure import Unmet, totals

WIDTH = 96
SHOWN_STEPS = 12
"""Rows of the table below a failed eval; what is left out is counted."""

SHOWN_DETAILS = 20
"""Lines that an eval itself gave."""


def explain(item: pytest.Function, cell: Cell, found: Verdict, result: EvalResult) -> str:
    """Why the eval *item* is red, the reason first, and where it stands."""
    lines = [found.reason]
    if result.explanation and result.explanation not in found.reason:
        lines.append(result.explanation)
    lines += result.details[:SHOWN_DETAILS]
    return "\n".join([*lines, *_where(item, cell), *_values(item)])


def show_run(item: pytest.Item, cell: Cell, error: BaseException, report: pytest.TestReport) -> None:
    """Put the steps of the run below the failure of an eval, where the failure does not show them itself."""
    ctx = judged_run(item)
    if ctx is None or ctx.trajectory is None or isinstance(error, Unmet):
        return
    table = step_table(ctx.trajectory, width=WIDTH, max_rows=SHOWN_STEPS)
    # A verdict of ours told the rest already.
    told = error is not None and isinstance(error, pytest.fail.Exception)
    head = [] if told else [*_where(item, cell), *_values(item)]
    report.sections.append(
        ("the run that was judged", "\n".join([*head, *table, *totals(ctx.trajectory, WIDTH)]))
    )


def _where(item: pytest.Item, cell: Cell) -> Iterator[str]:
    file, line, _ = item.location
    trial = f", trial {cell.trial}" if cell.trial > 1 else ""
    source = f" ({cell.case.source})" if cell.case.source else ""
    yield f"{file}:{(line or 0) + 1} {getattr(item, 'originalname', item.name)}"
    yield f"case {cell.case.id}{trial}{source}"


def _values(item: pytest.Item) -> Iterator[str]:
    ctx = judged_run(item)
    if ctx is None:
        return
    if ctx.expected is not None:
        yield _line("expected", ctx.expected)
    yield _line("final output", ctx.final_output)


def _line(label: str, value: object) -> str:
    return shorten(f"{label}: {show_value(value, WIDTH - columns(label) - 2)}", WIDTH)


def judged_run(item: pytest.Item) -> EvalContext | None:
    """The run that the eval *item* was given; None before it was, or if it did not ask for it."""
    ctx = getattr(item, "funcargs", {}).get("ctx")
    return ctx if isinstance(ctx, EvalContext) else None
