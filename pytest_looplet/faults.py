"""What can be wrong with a tool: one fault, when it strikes, and what it does to a call.

A fault changes how one call goes and nothing else: the tool's own schema, time limit and checks stay.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from looplet.tools.dispatch import Collected, is_awaited
from looplet.tools.waiting import awaited
from looplet.values import normal

At: TypeAlias = int | Sequence[int] | None
"""Which calls of a tool: a number from 1, several, or None for every one."""

GARBLED = "\ufffd"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a tool misbehaves.

    Attributes:
        kind: `fail`, `slow`, `corrupt`, `truncate`, `replace`, `inject` or `flaky`.
        tool: Name of the tool; None for whichever tool is called, `done` left out.
        at: Which of the tool's calls (with None as tool: of all calls), from 1.
        reason: What it does, in words.
        error: Raised in the place of running the tool, or None.
        seconds: Waited before the tool runs.
        instead: Given in the place of running the tool, in a tuple of one; or None.
        change: Makes another result of the tool's own, or None.
        chance: Probability that it strikes a call, 0 to 1.
        seed: Says which calls those are.
    """

    kind: str
    tool: str | None
    at: At
    reason: str
    error: BaseException | type[BaseException] | None = None
    seconds: float = 0.0
    instead: tuple[Any] | None = None
    change: Callable[[Any], Any] | None = None
    chance: float = 1.0
    seed: int = 0

    @property
    def changes_results(self) -> bool:
        """Whether the model reads something else than without the fault."""
        return self.kind != "slow"

    def strikes(self, tool: str, of_tool: int, of_all: int) -> bool:
        """Whether call number *of_tool* of *tool*, number *of_all* of all, is hit."""
        if self.tool not in (tool, None) or (self.tool is None and tool == "done"):
            return False
        number = of_all if self.tool is None else of_tool
        wanted = self.at
        if wanted is not None and number not in ((wanted,) if isinstance(wanted, int) else wanted):
            return False
        # One draw for each call, whatever else is called meanwhile and on which thread.
        return self.chance >= 1 or random.Random(f"{self.seed}:{tool}:{number}").random() < self.chance


def broken(execute: Callable[..., Any], faults: Sequence[Fault], *, is_async: bool) -> Callable[..., Any]:
    """*execute* as it goes under *faults*, the first of them nearest to the tool."""
    seconds = sum(fault.seconds for fault in faults)

    def body(kwargs: dict[str, Any]) -> Any:
        for fault in faults:
            if fault.error is not None:
                raise fault.error
        given = next((fault.instead for fault in faults if fault.instead is not None), None)
        return execute(**kwargs) if given is None else given[0]

    def changed(value: Any) -> Any:
        for fault in faults:
            if fault.change is not None:
                value = fault.change(value)
        return value

    async def later(value: Awaitable[Any]) -> Any:
        data, error = await awaited((value, None))
        if error is not None:
            raise error
        return changed(data)

    async def run_async(**kwargs: Any) -> Any:
        await asyncio.sleep(seconds)
        value = body(kwargs)
        return await later(value) if is_awaited(value) else changed(value)

    def run(**kwargs: Any) -> Any:
        time.sleep(seconds)
        value = body(kwargs)
        if is_awaited(value):
            return later(value)
        return changed(_listed(value) if isinstance(value, Iterator) else value)

    return run_async if is_async else run


def _listed(items: Iterator[Any]) -> list[Any]:
    found = Collected()
    for item in items:
        if not found.take(item):
            break
    return found.items


def as_text(value: Any) -> str:
    """A result as the text that a fault works on: itself, or its JSON."""
    return value if isinstance(value, str) else json.dumps(normal(value), ensure_ascii=False)


def garbled(value: Any, seed: int) -> str:
    """A result's text with about one character in three lost, always the same ones for one seed."""
    text, draw = as_text(value), random.Random(f"corrupt:{seed}")
    broken_text = "".join(GARBLED if draw.random() < 1 / 3 else char for char in text)
    return broken_text if broken_text != text else GARBLED + text[1:]


def with_injection(value: Any, text: str) -> Any:
    """A result in which *text* stands, where an attacker could have put it."""
    if isinstance(value, dict):
        last = next((key for key in reversed(value) if isinstance(value[key], str)), None)
        return {**value, "note": text} if last is None else {**value, last: f"{value[last]}\n\n{text}"}
    if isinstance(value, list):
        return [*value, text]
    return f"{as_text(value)}\n\n{text}"
