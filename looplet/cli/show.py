"""`looplet show RUN`: a run directory, or the file of a saved run, in a few lines."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from looplet.cli.command import NO, OK, Command, fail
from looplet.text import clip, columns, count, escape_terminal

_ARGS, _TAIL = 30, 20
Cut: TypeAlias = Callable[[str, int], str]
_GLYPHS = {"done": "✓", "error": "✗", "llm_error": "✗"}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trace_dir", help="a run directory, or a file such as trajectory.json or a .run.json")
    parser.add_argument("--json", action="store_true", help="print trajectory.json as it is")


def _show(options: argparse.Namespace) -> int:
    given = Path(options.trace_dir)
    if not given.exists():
        fail(f"{given} does not exist")
        return NO
    if elsewhere := _elsewhere(given):
        fail(f"{given} is no run: looplet {elsewhere} show {given}")
        return NO
    # Prompts and times stand beside a trajectory.json; any other file is a run by itself.
    directory = given.parent if given.name == "trajectory.json" else given
    trajectory = given if given.is_file() else given / "trajectory.json"
    manifest = directory / "manifest.jsonl"
    if not trajectory.exists() and not manifest.exists():
        fail(f"{directory} contains no trajectory.json or manifest.jsonl — not a trace directory")
        return NO
    try:
        run = _object(trajectory) if trajectory.exists() else {}
        calls = _lines(manifest) if manifest.exists() else []
        times = _object(directory / "volatile.json") if (directory / "volatile.json").exists() else {}
        told = _report(run, calls, times) if calls or not _is_bare(given, run) else _bare_report(given, run)
        text = json.dumps(run, indent=2) if options.json else "\n".join(told)
    except _Unreadable as problem:
        fail(str(problem))
        return NO
    print(text)
    return OK


def _elsewhere(given: Path) -> str:
    """The command that shows what *given* is, if that is something else than a run."""
    if given.name.endswith(".looplet.yaml"):
        return "cassettes"
    journalled = (given / "journal.jsonl").exists() and not (given / "trajectory.json").exists()
    return "checkpoints" if journalled else ""


class _Unreadable(Exception):
    """A file of the run cannot be read."""


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise _Unreadable(f"could not parse {path}: {problem}") from problem
    if not isinstance(value, dict):
        raise _Unreadable(f"could not parse {path}: it holds no object")
    return value


def _lines(path: Path) -> list[dict[str, Any]]:
    calls = []
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            call = json.loads(line)
            if not isinstance(call, dict):
                raise ValueError(f"line {number} holds no object")
            calls.append(call)
    except (OSError, ValueError, RecursionError) as problem:
        raise _Unreadable(f"could not parse {path}: {problem}") from problem
    return calls


def _report(run: Mapping[str, Any], calls: list[dict[str, Any]], times: Mapping[str, Any]) -> Iterator[str]:
    steps = _steps(run)
    took = {str(step.get("step_num")): _step_ms(step, times) for step in steps}
    total = sum(took.values()) or sum(_number(call.get("duration_ms")) for call in _timed_calls(times, calls))
    reason = str(run.get("termination_reason", "unknown"))
    run_id = str(times.get("run_id") or run.get("run_id") or "-")
    glyph = _GLYPHS.get(reason, "·")
    counts = f"{len(steps)} steps  {len(calls) or run.get('llm_call_count', 0)} LLM calls"
    yield escape_terminal(f"{run_id}  {glyph} {reason}  {counts}  {total:.0f}ms")
    if steps:
        yield ""
    for step in steps:
        yield _step_line(step, took[str(step.get("step_num"))])
    for mode in _list(run.get("failure_modes")):
        yield escape_terminal(f"!! {mode}")
    yield ""
    yield _foot(calls) if calls else _saved_foot(run)


def _is_bare(given: Path, run: Mapping[str, Any]) -> bool:
    """Whether *given* is the file of an accepted run: what was done, and neither model calls nor times."""
    return given.is_file() and not run.get("llm_calls") and not any(map(_step_ms_kept, _steps(run)))


def _bare_report(given: Path, run: Mapping[str, Any]) -> Iterator[str]:
    reason, steps = str(run.get("termination_reason") or "unknown"), _steps(run)
    head = f"{given.name}  {_GLYPHS.get(reason, '·')} {reason}  {count(len(steps), 'step')}"
    yield escape_terminal(f"{head}; model calls and times are not kept in this file")
    if steps:
        yield ""
    rows = [_parts(step, clip) for step in steps]
    numbers, calls = ([escape_terminal(row[place]) for row in rows] for place in (0, 1))
    wide, far = max(map(len, numbers), default=0), max(map(columns, calls), default=0)
    for number, call, (*_, tail) in zip(numbers, calls, rows, strict=True):
        arrow = f"{' ' * (far - columns(call))} → {escape_terminal(tail)}" if tail else ""
        yield f"{number:<{wide}}  {call}{arrow}"


def _foot(calls: list[dict[str, Any]]) -> str:
    sent = sum(_number(c.get("prompt_chars")) for c in calls)
    got = sum(_number(c.get("response_chars")) for c in calls)
    failed = sum(bool(c.get("error")) for c in calls)
    return f"LLM: {len(calls)} calls, {sent:,.0f} in / {got:,.0f} out chars, {failed} errors"


def _timed_calls(times: Mapping[str, Any], calls: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    timed = times.get("calls", calls)
    return [_mapping(call) for call in timed] if isinstance(timed, list) else []


def _steps(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [step for step in _list(run.get("steps")) if isinstance(step, dict)]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _saved_foot(run: Mapping[str, Any]) -> str:
    """The same of a run that was saved whole, in one file."""
    kept = run.get("llm_calls")
    calls = [call for call in kept if isinstance(call, dict)] if isinstance(kept, list) else []
    if not calls:
        return "LLM: the calls are not kept in this file"
    if all("prompt_chars" in call for call in calls):
        return _foot(calls)
    usages = [_mapping(call.get("usage")) for call in calls]
    sent, got = (
        sum(_number(usage.get(name)) for usage in usages) for name in ("input_tokens", "output_tokens")
    )
    failed = sum(bool(call.get("error")) for call in calls)
    tokens = f"{sent:,.0f} in / {got:,.0f} out tokens" if any(usages) else "tokens not known"
    return f"LLM: {len(calls)} calls, {tokens}, {failed} errors"


def _step_ms(step: Mapping[str, Any], times: Mapping[str, Any]) -> float:
    known = _mapping(_mapping(times.get("steps")).get(str(step.get("step_num"))))
    return _number(known.get("duration_ms", step.get("duration_ms")))


def _step_ms_kept(step: Mapping[str, Any]) -> bool:
    return _step_ms(step, {}) > 0


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _step_line(step: Mapping[str, Any], took_ms: float) -> str:
    number, head, tail = _parts(step, lambda text, width: text[:width], args_width=_ARGS)
    linked = step.get("llm_call_indices") or []
    call = f"call {linked[0]}" if isinstance(linked, list) and linked else ""
    return escape_terminal(f"{number}  {head} → {tail:<{_TAIL}} [{took_ms:5.0f}ms] {call}")


def _parts(step: Mapping[str, Any], cut: Cut, args_width: int = 0) -> tuple[str, str, str]:
    """A step's number, its call and what came of it; the arguments filled up to *args_width*."""
    result = _mapping(step.get("tool_result"))
    tool = result.get("tool") or _mapping(step.get("tool_call")).get("tool") or "?"
    glyph = "✗" if result.get("error") else "✓"
    args = cut(str(result.get("args") or result.get("args_summary") or ""), _ARGS)
    return f"#{step.get('step_num')}", f"{glyph} {tool}({args:<{args_width}})", _tail(result, cut)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _tail(result: Mapping[str, Any], cut: Cut) -> str:
    if result.get("error"):
        return f"ERROR: {cut(str(result['error']), 40)}"
    data = result.get("data")
    if isinstance(data, list):
        return f"{len(data)} items"
    if isinstance(data, dict):
        return f"{len(data)} keys"
    return "" if data is None else cut(str(data), 30)


COMMAND = Command("show", "show a run directory", _arguments, _show)
