"""Expectations about calls, errors and the end of a run, each as a function that tells what is missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from looplet.text import count, shorten, show_value
from looplet.trajectory.changes import first_difference
from looplet.trajectory.record import Trajectory
from looplet.trajectory.table import kind_text
from looplet.types import ErrorKind, Step
from pytest_looplet.failure import Miss, few
from pytest_looplet.matching import differences, matches, shown, times_match, times_text

SYNTHETIC = ("__parse_error__", "__llm_error__")
"""Steps that stand for a failure of the model and not for a call of a tool."""


def called(run: Trajectory, tool: str, times: object, args: Mapping[str, Any]) -> Miss | None:
    """*tool* was called with *args*, *times* as often as that matches; at least once if None."""
    calls = run.calls(tool)
    fitting = [step for step in calls if not differences(args, step.tool_call.args)]
    if times_match(times, len(fitting)) if times is not None else fitting:
        return None
    asked = f"expected a call of {_wanted(tool, args)}"
    if times is not None:
        asked = f"expected {_wanted(tool, args)} to be called {times_text(times)}"
    if not calls:
        return Miss(f"{asked}; it was never called{_nearest(tool, run)}")
    if fitting:
        return Miss(f"{asked}; it was called {times_text(len(fitting))}", _numbers(fitting))
    happened = f"{tool} was called {times_text(len(calls))}, with other arguments"
    nearest = sorted(calls, key=lambda step: len(differences(args, step.tool_call.args)))
    return Miss(f"{asked}; {happened}", _numbers(calls), few([_unlike(step, args) for step in nearest]))


def not_called(run: Trajectory, tool: str, args: Mapping[str, Any]) -> Miss | None:
    """*tool* was never called with *args*; a run that never began proves nothing."""
    calls = [step for step in run.calls(tool) if not differences(args, step.tool_call.args)]
    if not calls:
        return _nothing_happened(run, "what it did not call")
    return Miss(f"expected no call of {_wanted(tool, args)}; it was called {_at(calls)}", _numbers(calls))


def only_called(run: Trajectory, tools: Sequence[str]) -> Miss | None:
    """No other tool than *tools* was called; the call that ended the run is not counted."""
    others = [s for s in run.steps if s.tool_call.tool not in (*tools, *SYNTHETIC) and s is not closing(run)]
    if not others:
        return _nothing_happened(run, "what else it called")
    names = ", ".join(dict.fromkeys(step.tool_call.tool for step in others))
    allowed = f"no other calls than {', '.join(tools)}" if tools else "no call of a tool"
    return Miss(f"expected {allowed}; it called {names} {_at(others)}", _numbers(others))


def in_order(run: Trajectory, tools: Sequence[str]) -> Miss | None:
    """*tools* were called in this order; other calls may stand between."""
    names, position, before = run.tools, 0, ""
    for tool in tools:
        if tool not in names[position:]:
            return _out_of_order(run, tools, tool, before, position)
        position = names.index(tool, position) + 1
        before = tool
    return None


def finished(run: Trajectory, reason: object) -> Miss | None:
    """The run stopped for *reason* and nothing killed it."""
    if matches(reason, run.stop_reason) and (run.error is None or reason != "done"):
        return None
    ended = f"it stopped with {run.stop_reason!r}" if run.stop_reason else "its end was not seen"
    last = () if run.completed else _numbers(run.steps[-1:])
    return Miss(f"expected the run to finish with {shown(reason, 40)}; {ended}", last)


def gave_output(run: Trajectory, expected: object, fields: Mapping[str, Any]) -> Miss | None:
    """The final output has these fields, and is *expected*, unless that is `...`."""
    output = run.final_output
    problems = differences(fields, output)
    if expected is not ... and not (matches(expected, output) or _is_the_only_field(expected, output)):
        problems.insert(0, f"it is {show_value(output, 60)}")
    if not problems:
        return None
    if not output:
        return Miss(f"expected a final output; the run gave none and stopped with {run.stop_reason!r}")
    wanted = f"a final output with {_given(fields)}"
    if expected is not ...:
        wanted = f"the final output to be {shown(expected, 60)}"
    details = _texts(output, fields, expected)
    return Miss(f"expected {wanted}; {'; '.join(problems)}", _numbers(_last(run)), details)


def no_errors(run: Trajectory) -> Miss | None:
    """No step failed and nothing killed the run."""
    if run.errors:
        return Miss(f"expected no errors; {_failed(run.errors)}", _numbers(run.errors))
    if run.error is not None:
        return Miss(f"expected no errors; the run died of {shorten(run.error, 200)}")
    return _nothing_happened(run, "whether it failed")


def recovered(run: Trajectory, kind: ErrorKind) -> Miss | None:
    """A step failed this way, a later call of a tool succeeded, and the agent finished."""
    failed = [step for step in run.errors if step.tool_result.error_kind is kind]
    name = kind.value.replace("_", " ")
    asked = f"expected the run to recover from a {name} error"
    if not failed:
        others = f"; {_failed(run.errors)}" if run.errors else ""
        return Miss(f"{asked}; no step failed that way{others}", _numbers(run.errors))
    if not run.completed:
        return Miss(
            f"{asked}; it failed {_at(failed)} and the run stopped with {run.stop_reason!r}", _numbers(failed)
        )
    later = run.steps[run.steps.index(failed[-1]) + 1 :]
    if any(not step.tool_result.error and step is not closing(run) for step in later):
        return None
    return Miss(f"{asked}; after step {failed[-1].number} no call succeeded", _numbers(failed))


def denied(run: Trajectory, tool: str, args: Mapping[str, Any]) -> Miss | None:
    """*tool* was called with *args* and every such call was refused by a permission rule or hook."""
    calls = [step for step in run.calls(tool) if not differences(args, step.tool_call.args)]
    asked = f"expected {_wanted(tool, args)} to be denied"
    if not calls:
        return Miss(f"{asked}; it was never called{_nearest(tool, run)}", _numbers(run.calls(tool)))
    through = [step for step in calls if step not in run.denied(tool)]
    if not through:
        return None
    return Miss(f"{asked}; it was let through {_at(through)}", _numbers(through))


def closing(run: Trajectory) -> Step | None:
    """The call by which the agent ended its run, None if it did not end it by a call."""
    if not run.completed or not run.steps or run.steps[-1].tool_result.error:
        return None
    last = run.steps[-1]
    given = {key: value for key, value in last.tool_call.args.items() if not key.startswith("__")}
    return last if given == run.final_output else None


def _nothing_happened(run: Trajectory, what: str) -> Miss | None:
    if run.steps or run.model_calls or run.completed:
        return None
    return Miss(f"expected a run, to see {what}; this one has no model call and no step")


def _out_of_order(run: Trajectory, tools: Sequence[str], tool: str, before: str, position: int) -> Miss:
    earlier = [step for step in run.steps[:position] if step.tool_call.tool == tool]
    if not earlier:
        missing = f"{tool} was never called{_nearest(tool, run)}"
        return Miss(f"expected the calls {', '.join(tools)} in this order; {missing}")
    if tool == before:
        again = f"it was called {times_text(len(earlier))}"
        return Miss(f"expected {tool} again after step {earlier[-1].number}; {again}", _numbers(earlier))
    first = f"{tool} came first, at step {earlier[0].number}"
    return Miss(f"expected {before} before {tool}; {first}", _numbers(earlier))


def _is_the_only_field(expected: object, output: Mapping[str, Any]) -> bool:
    return len(output) == 1 and not isinstance(expected, Mapping) and matches(expected, *output.values())


def _texts(output: Mapping[str, Any], fields: Mapping[str, Any], expected: object) -> list[str]:
    """Where two long texts begin to differ: cut in the middle, they look the same."""
    pairs = [(name, wanted, output.get(name)) for name, wanted in fields.items()]
    if len(output) == 1 and isinstance(expected, str):
        pairs += [(name, expected, value) for name, value in output.items()]
    return [line for name, wanted, given in pairs for line in _first_difference(name, wanted, given)]


def _first_difference(name: str, wanted: object, given: object) -> list[str]:
    if not isinstance(wanted, str) or not isinstance(given, str) or wanted == given:
        return []
    if max(len(wanted), len(given)) < 30:
        return []
    place = first_difference(wanted, given)
    start = max(0, place - 20)
    return [
        f"{name} differs from character {place + 1:,} on:",
        f"- …{show_value(wanted[start : place + 50], 80)}…",
        f"+ …{show_value(given[start : place + 50], 80)}…",
    ]


def _wanted(tool: str, args: Mapping[str, Any]) -> str:
    return f"{tool} with {_given(args)}" if args else tool


def _given(args: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={shown(value, 60)}" for name, value in args.items())


def _unlike(step: Step, args: Mapping[str, Any]) -> str:
    return f"step {step.number}: {'; '.join(differences(args, step.tool_call.args))}"


def _failed(steps: Sequence[Step]) -> str:
    """Who failed, such as `search failed at steps 2, 5 (timeout)`."""
    if len(steps) > 1:
        return f"{count(len(steps), 'step')} failed, {_at(steps)}"
    kind = kind_text(steps[0].tool_result)
    return f"{steps[0].tool_call.tool} failed {_at(steps)}{f' ({kind})' if kind else ''}"


def _at(steps: Sequence[Step]) -> str:
    numbers = ", ".join(str(step.number) for step in steps[:10])
    if len(steps) == 1:
        return f"at step {numbers}"
    return f"at steps {numbers}{f' and {len(steps) - 10:,} more' if len(steps) > 10 else ''}"


def _numbers(steps: Sequence[Step]) -> list[int]:
    return [step.number for step in steps]


def _last(run: Trajectory) -> Sequence[Step]:
    last = closing(run)
    return [last] if last else []


def _nearest(tool: str, run: Trajectory) -> str:
    """A hint for a misspelt name."""
    near = get_close_matches(tool, set(run.tools), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
