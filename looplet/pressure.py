"""How much a prompt is going to hold: results and log measured as they come, and results kept small.

An agent looks at this before every prompt. What was measured once is not measured again, so that a look costs
what is new and not what there is.
"""

from __future__ import annotations

from dataclasses import replace
from heapq import heappop, heappush
from typing import Any

from looplet.session import LogEntry, SessionLog
from looplet.shrink import digest_of, is_whole
from looplet.values import dumps

STEP_CHARS = 50
"""Characters taken for a step beside its data and its reasoning."""

_RECENT = 2  # entries that may still be changed where they stand, as `render_recent` says


class SizedSteps:
    """The size of the steps in a list that grows; shorter copies take the places of old and large ones.

    Does what `age_results` and `trim_results` do. A list that was edited by others is measured anew.

    Args:
        keep_full: Newest steps whose results stay whole, unless they are too large.
        per_result_chars: Most characters of one whole result, as JSON.
        aggregate_chars: Most characters of all whole results together.

    Attributes:
        chars: Characters of all steps.
    """

    def __init__(self, keep_full: int, per_result_chars: int, aggregate_chars: int) -> None:
        self._keep_full = max(0, keep_full)
        self._limits = per_result_chars, aggregate_chars
        self._forget()

    def _forget(self) -> None:
        self._steps: list[Any] = []
        self._sizes: list[int] = []
        self._whole: list[tuple[int, int]] = []  # a heap: the largest first, as characters below 0 and index
        self._whole_chars = self._aged = self._cleared = self.chars = 0

    def keep_small(self, steps: list[Any]) -> None:
        """Take in what is new, and make *steps* small; the list is changed, the steps in it are not."""
        known = len(self._steps)
        if known > len(steps) or self._steps != steps[:known]:
            self._forget()
        for step in steps[len(self._steps) :]:
            self._add(step)
        self._age(steps)
        self._trim(steps)

    def clear(self, steps: list[Any], keep_recent: int) -> None:
        """Empty the results of all but the last *keep_recent*, as `clear_results` does."""
        end = max(0, len(steps) - keep_recent)
        for index in range(self._cleared, end):
            if steps[index].tool_result.data is not None:
                self._put(steps, index, None, len(dumps(None)))
        self._cleared = max(self._cleared, end)

    def _add(self, step: Any) -> None:
        size = len(dumps(step.tool_result.data))
        if is_whole(step):
            heappush(self._whole, (-size, len(self._steps)))
            self._whole_chars += size
        self._steps.append(step)
        self._sizes.append(size)
        self.chars += size + len(step.tool_call.reasoning or "") + STEP_CHARS

    def _age(self, steps: list[Any]) -> None:
        end = max(0, len(steps) - self._keep_full)
        for index in range(self._aged, end):
            if is_whole(steps[index]):
                digest = digest_of(steps[index].tool_result)
                size = len(dumps(digest))
                if size < self._sizes[index]:
                    self._put(steps, index, digest, size)
        self._aged = max(self._aged, end)

    def _trim(self, steps: list[Any]) -> None:
        most, in_all = self._limits
        total = self._whole_chars
        while self._whole and (-self._whole[0][0] > most or total > in_all):
            below, index = heappop(self._whole)
            if is_whole(steps[index]):  # and not a digest since it came
                digest = digest_of(steps[index].tool_result)
                size = len(dumps(digest))
                total += below + size
                self._put(steps, index, digest, size)

    def _put(self, steps: list[Any], index: int, data: Any, size: int) -> None:
        step = steps[index]
        if is_whole(step):
            self._whole_chars -= self._sizes[index]
        steps[index] = self._steps[index] = replace(step, tool_result=replace(step.tool_result, data=data))
        self.chars += size - self._sizes[index]
        self._sizes[index] = size


class LogSize:
    """The size of a session log that grows; one that was edited is measured anew."""

    def __init__(self) -> None:
        self._older: list[LogEntry] = []
        self._chars = 0

    def of(self, log: SessionLog) -> int:
        """Characters of what `render` gives."""
        if type(log) is not SessionLog:
            return len(log.render())
        older = log.entries[:-_RECENT]
        if self._older != older[: len(self._older)]:
            self._older, self._chars = [], 0
        for entry in older[len(self._older) :]:
            self._chars += 1 + len(entry.render(highlights_label=log.highlights_label))
            self._older.append(entry)
        instead = len(f"\n  … {len(older)} earlier steps") if older else 0
        return len(log.render_recent(_RECENT)) + self._chars - instead
