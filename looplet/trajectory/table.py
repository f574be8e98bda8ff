"""A trajectory as a table for people: a line for each step, cut to a width and safe to print."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from looplet.text import clip, columns, escape_terminal, shorten, show_value
from looplet.trajectory.record import Trajectory
from looplet.types import ErrorKind, Step, ToolResult

TOOL_COLUMNS = 24
"""The widest a tool's name may get."""

_HEADER = ("", "#", "tool", "args", "result", "ms")
_GAP = 2


def step_table(
    run: Trajectory, *, width: int = 96, max_rows: int | None = None, marked: Collection[int] = ()
) -> list[str]:
    """The steps of *run* as lines of a table.

    Args:
        run: The trajectory.
        width: Columns of the terminal that the table may take.
        max_rows: Lines of the table without its header; what is left out is counted where it was. All
            steps if None.
        marked: Numbers of the steps that get a `>`, and that are shown before any other.
    """
    told = frozenset(marked)
    places = [place for place, step in enumerate(run.steps) if step.number in told]
    shown = _chosen(len(run.steps), places, max_rows)
    steps = [run.steps[place] for place in shown]
    room = _room(steps, width)
    rows = [_HEADER, *(_row(step, step.number in told, room) for step in steps)]
    lines = grid(rows, "<><<<>")
    return [lines[0], *_with_gaps(lines[1:], shown, len(run.steps))]


def call_text(tool: str, args: Mapping[str, Any], width: int) -> str:
    """A call in one line, such as `issue_refund order_id='1234' amount=99.0`."""
    name = clip(escape_terminal(tool), TOOL_COLUMNS)
    return f"{name} {args_text(args, width - columns(name) - 1)}".rstrip()


def args_text(args: Mapping[str, Any], width: int) -> str:
    """Arguments in one line, such as `order_id='1234' amount=99.0`; long ones get an equal share."""
    given = {escape_terminal(key): value for key, value in args.items() if not key.startswith("__")}
    parts = [f"{clip(key, 32)}={show_value(value, width)}" for key, value in given.items()]
    if columns(" ".join(parts)) > width and parts:
        share = (width + 1) // len(parts) - 1
        spare = sum(max(0, share - columns(part)) for part in parts)
        long = max(1, sum(columns(part) > share for part in parts))
        parts = [_part(key, value, share + spare // long) for key, value in given.items()]
    return _joined(parts, width)


def result_text(result: ToolResult, width: int) -> str:
    """A result in one line: the data, or `✗` with the kind of failure and the reason."""
    if result.error:
        reason = escape_terminal(result.error[: 4 * width])
        kind = kind_text(result)
        return shorten(f"✗ {reason}" if kind in reason.lower() else f"✗ {kind}: {reason}", width)
    if (
        isinstance(result.data, dict)
        and result.data.get("rejected") is True
        and result.args_summary == "rejected"
    ):
        return shorten(f"✗ rejected: {escape_terminal(str(result.data.get('reason')))}", width)
    return show_value(result.data, width)


def kind_text(result: ToolResult) -> str:
    """The kind of a failure for people, such as `rate limit`; empty where the kind says nothing."""
    kind = result.error_kind
    return kind.value.replace("_", " ") if kind not in (None, ErrorKind.EXECUTION) else ""


def grid(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Rows of cells as lines with aligned columns, two blanks apart; wide characters count as two.

    Args:
        rows: Cells of one line each, the same number in every row.
        sides: `<` or `>` for each column: where its text stands.
    """
    widths = [max(columns(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [(" " * _GAP).join(map(_padded, row, widths, sides)).rstrip() for row in rows]


def _padded(cell: str, width: int, side: str) -> str:
    blank = " " * (width - columns(cell))
    return blank + cell if side == ">" else cell + blank


def _part(key: str, value: object, width: int) -> str:
    key = clip(key, 32)
    return f"{key}={show_value(value, max(8, width - columns(key) - 1))}"


def _joined(parts: Sequence[str], width: int) -> str:
    """As many parts as fit, and how many did not."""
    line = " ".join(parts)
    kept = len(parts)
    while columns(line) > width and kept > 1:
        kept -= 1
        line = " ".join([*parts[:kept], f"+{len(parts) - kept} more"])
    return shorten(line, width)


def _room(steps: Sequence[Step], width: int) -> tuple[int, int]:
    """Columns for arguments and for results: what the other columns leave, shared by need."""
    tool = max((columns(_name(s)) for s in steps), default=4)
    number = max((len(str(s.number)) for s in steps), default=1)
    ms = max((len(_ms(s)) for s in steps), default=2)
    room = max(40, width - 1 - number - max(4, tool) - max(2, ms) - 5 * _GAP)
    results = max((columns(result_text(s.tool_result, room)) for s in steps), default=6)
    args = max((columns(args_text(s.tool_call.args, room)) for s in steps), default=4)
    for_args = min(max(args, 4), max(room - max(results, 6), room // 2))
    return for_args, room - for_args


def _row(step: Step, marked: bool, room: tuple[int, int]) -> tuple[str, ...]:
    return (
        ">" if marked else "",
        str(step.number),
        _name(step),
        args_text(step.tool_call.args, room[0]),
        result_text(step.tool_result, room[1]),
        _ms(step),
    )


def _name(step: Step) -> str:
    return clip(escape_terminal(step.tool_call.tool), TOOL_COLUMNS)


def _ms(step: Step) -> str:
    return f"{step.tool_result.duration_ms:,.0f}"


def _chosen(size: int, marked: Sequence[int], limit: int | None) -> list[int]:
    """The places of the steps to show: the marked ones, their neighbours and the two ends."""
    if limit is None or size <= limit:
        return list(range(size))
    chosen: set[int] = set()
    for place in _by_interest(marked, size - 1):
        if len(chosen) + _gaps({*chosen, place}, size) >= limit:
            break
        chosen.add(place)
    return sorted(chosen)


def _by_interest(marked: Sequence[int], last: int) -> Iterator[int]:
    yield from marked[:3]
    yield from (0, last)
    yield from marked[3:]
    for distance in (1, 2):
        for place in marked:
            yield from (near for near in (place - distance, place + distance) if 0 <= near <= last)
    for distance in range(3 if marked else last + 1):
        yield from (distance, last - distance)


def _gaps(chosen: Collection[int], size: int) -> int:
    edges = [-1, *sorted(chosen), size]
    return sum(after - before > 1 for before, after in pairwise(edges))


def _with_gaps(lines: Iterable[str], shown: Sequence[int], size: int) -> Iterator[str]:
    """The lines, and between them how many steps were left out."""
    next_place = 0
    for line, place in zip(lines, shown, strict=True):
        if place > next_place:
            yield _gap(place - next_place)
        next_place = place + 1
        yield line
    if next_place < size:
        yield _gap(size - next_place)


def _gap(count: int) -> str:
    return f"   … {count:,} step{'s' if count > 1 else ''}"
