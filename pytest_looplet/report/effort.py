"""What the runs of a session used and took, and what their recording took: for the terminal only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from looplet.text import count, shorten
from looplet.trajectory import Trajectory

TAKEN = "looplet/recordings"
"""Key of pytest's cache: seconds that each recording took on this machine, by its cassette."""

SLOW_MS = 100.0
SHOWN_TOOLS = 3


def effort_of(run: Trajectory) -> dict[str, Any]:
    """The figures of *run* that a report of its item carries, as JSON."""
    tools: dict[str, list[float]] = {}
    for step in run.steps:
        took = step.tool_result.duration_ms
        calls, total, longest = tools.get(step.tool_call.tool, (0, 0.0, 0.0))
        tools[step.tool_call.tool] = [calls + 1, round(total + took, 1), round(max(longest, took), 1)]
    return {
        "steps": len(run.steps),
        "model_calls": len(run.model_calls),
        "tokens": run.usage.total_tokens,
        "cost_usd": run.cost_usd,
        "ms": round(run.duration_ms, 1),
        "cassette": run.metadata.get("cassette"),
        "recorded": run.metadata.get("recorded") is True,
        "tools": tools,
    }


@dataclass(frozen=True, slots=True)
class Effort:
    """All runs of a session together.

    Attributes:
        runs, steps, model_calls, tokens: Their sums.
        cost_usd: US dollars, None where one is not known.
        replayed: Runs that were replayed and of which it is known how long their recording took.
        replay_s, recording_s: Seconds that these took now, and then.
        tools: Calls, milliseconds, and milliseconds of the longest call of each tool.
    """

    runs: int = 0
    steps: int = 0
    model_calls: int = 0
    tokens: int = 0
    cost_usd: float | None = None
    replayed: int = 0
    replay_s: float = 0.0
    recording_s: float = 0.0
    tools: Mapping[str, tuple[int, float, float]] = field(default_factory=dict)


def recordings(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds that the recordings made in this session took, by cassette."""
    found: dict[str, float] = {}
    for one in efforts(rows):
        if one["recorded"] and one["cassette"]:
            found[one["cassette"]] = round(found.get(one["cassette"], 0.0) + one["ms"] / 1000, 3)
    return found


def together(rows: Iterable[Mapping[str, Any]], taken: Mapping[str, float]) -> Effort:
    """The runs that *rows* tell of.

    Args:
        rows: The facts of the items.
        taken: Seconds that recordings took, by cassette.
    """
    known = list(efforts(rows))
    costs = [one["cost_usd"] for one in known]
    replayed = [one for one in known if one["cassette"] in taken and not one["recorded"]]
    tools: dict[str, tuple[int, float, float]] = {}
    for one in known:
        for name, (calls, total, longest) in one["tools"].items():
            before = tools.get(name, (0, 0.0, 0.0))
            tools[name] = (before[0] + calls, before[1] + total, max(before[2], longest))
    return Effort(
        len(known),
        sum(one["steps"] for one in known),
        sum(one["model_calls"] for one in known),
        sum(one["tokens"] for one in known),
        None if None in costs or not costs else sum(costs),
        len(replayed),
        sum(one["ms"] for one in replayed) / 1000,
        sum(taken[name] for name in {one["cassette"] for one in replayed}),
        tools,
    )


def lines(effort: Effort, *, detailed: bool = False) -> Iterator[str]:
    """What is said about *effort*: its sums, the time saved by replay, the slowest tools.

    Args:
        effort: The runs.
        detailed: Name the slowest tools also where none was slow.
    """
    if not effort.runs:
        return
    cost = f", ${effort.cost_usd:.4f}" if effort.cost_usd is not None else ""
    sums = [count(effort.runs, "run"), count(effort.steps, "step"), count(effort.model_calls, "model call")]
    yield f"{', '.join(sums)}, {effort.tokens:,} tokens{cost}"
    if effort.replayed and effort.recording_s > effort.replay_s:
        saved = effort.recording_s - effort.replay_s
        yield (
            f"{count(effort.replayed, 'run')} replayed in {_seconds(effort.replay_s)}, recorded in "
            f"{_seconds(effort.recording_s)}: {_seconds(saved)} saved"
        )
    slowest = sorted(effort.tools.items(), key=lambda item: -item[1][1])[:SHOWN_TOOLS]
    told = [
        f"{shorten(name, 20)} {_seconds(total / 1000)} in {count(calls, 'call')}"
        for name, (calls, total, _) in slowest
        if detailed or total >= SLOW_MS
    ]
    if told:
        yield f"slowest tools: {', '.join(told)}"


def efforts(rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """What each run used, once, however many evals judged it."""
    seen: set[tuple[str, str, int]] = set()
    for row in rows:
        if "eval" not in row:
            yield from row.get("efforts", ())
        elif (key := (row["module"], row["case"], row["trial"])) not in seen and "effort" in row:
            seen.add(key)
            yield row["effort"]


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:,.0f} s"
