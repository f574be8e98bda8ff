"""Results and logs made smaller where they stand, for compaction and for a prompt that is too long.

Lists are changed, the steps in them never: a shorter copy takes the place of a step that somebody may hold.
"""

from __future__ import annotations

from dataclasses import replace
from heapq import heappop, heappush
from typing import Any

from looplet.session import SessionLog
from looplet.types import ToolResult
from looplet.values import bounded, dumps

RESULT_BUDGET_PER_RESULT = 50_000
"""Characters of one result, as JSON, that `trim_results` leaves alone."""

RESULT_BUDGET_AGGREGATE = 500_000
"""Characters of all results together that `trim_results` leaves alone."""

_SAMPLE = 3


def trim_results(
    steps: list[Any],
    per_result_chars: int = RESULT_BUDGET_PER_RESULT,
    aggregate_chars: int = RESULT_BUDGET_AGGREGATE,
) -> None:
    """Replace steps whose data is too large by copies with a digest of it, the largest first.

    A digest has `"__compacted__": True`. Steps with an error, without data or with a digest stay.

    Args:
        steps: The list is changed, the steps in it are not.
        per_result_chars: Most characters of one result, as JSON.
        aggregate_chars: Most characters of all together.
    """
    sizes = {i: len(dumps(s.tool_result.data)) for i, s in enumerate(steps) if is_whole(s)}
    total = sum(sizes.values())
    for index in sorted(sizes, key=lambda i: -sizes[i]):
        if sizes[index] <= per_result_chars and total <= aggregate_chars:
            break
        result = steps[index].tool_result
        digest = digest_of(result)
        total += len(dumps(digest)) - sizes[index]
        steps[index] = replace(steps[index], tool_result=replace(result, data=digest))


def age_results(steps: list[Any], keep_full: int) -> int:
    """Replace all but the last *keep_full* steps by copies with a digest, where that is shorter.

    Gives how many it replaced.

    Args:
        steps: The list is changed, the steps in it are not.
    """
    aged = 0
    for index in range(max(0, len(steps) - max(0, keep_full))):
        if is_whole(steps[index]):
            aged += _digested(steps, index, len(dumps(steps[index].tool_result.data)))
    return aged


class Trimmer:
    """`trim_results` for one list that grows: each call looks at the steps that came since the one before.

    A digest that is no shorter than the data does not take its place.

    Args:
        per_result_chars: Most characters of one result, as JSON.
        aggregate_chars: Most characters of all together, digests left out.
    """

    def __init__(self, per_result_chars: int, aggregate_chars: int) -> None:
        self._limits = per_result_chars, aggregate_chars
        self._forget()

    def _forget(self) -> None:
        self._seen = self._total = 0
        self._last: Any = None
        self._whole: list[tuple[int, int]] = []  # a heap: the largest first, as characters below 0 and index

    def trim(self, steps: list[Any]) -> None:
        """Make *steps* small; the list is changed, the steps in it are not."""
        if self._seen and (self._seen > len(steps) or steps[self._seen - 1] is not self._last):
            self._forget()
        for index in range(self._seen, len(steps)):
            if is_whole(steps[index]):
                size = len(dumps(steps[index].tool_result.data))
                self._total += size
                heappush(self._whole, (-size, index))
        most, in_all = self._limits
        while self._whole and (-self._whole[0][0] > most or self._total > in_all):
            below, index = heappop(self._whole)
            self._total += below
            if is_whole(steps[index]):
                _digested(steps, index, -below)
        self._seen, self._last = len(steps), steps[-1] if steps else None


def _digested(steps: list[Any], index: int, size: int) -> bool:
    """Put a digest in the place of a result of *size* characters, if it is shorter; whether it is."""
    result = steps[index].tool_result
    digest = digest_of(result)
    is_shorter = len(dumps(digest)) < size
    if is_shorter:
        steps[index] = replace(steps[index], tool_result=replace(result, data=digest))
    return is_shorter


def is_whole(step: Any) -> bool:
    """Whether a step has data that could be shorter: no digest, and not beside an error."""
    data = step.tool_result.data
    done = isinstance(data, dict) and data.get("__compacted__")
    return data is not None and not step.tool_result.error and not done


def digest_of(result: ToolResult) -> dict[str, Any]:
    """What takes the place of a result's data: `"__compacted__": True`, its beginning, and its size."""
    data, key = result.data, result.result_key
    where = {"recall_key": key} if key else {"note": "left out to save space; ask again if needed"}
    if isinstance(data, list):
        sample = [_short(item) for item in data[:_SAMPLE]]
        return {"__compacted__": True, "original_count": len(data), "sample": sample, **where}
    if isinstance(data, dict):
        digest: dict[str, Any] = {"__compacted__": True, **{k: _short(v) for k, v in data.items()}, **where}
        rows = data.get("rows")
        if isinstance(rows, list):
            digest.update(rows=[_short(row) for row in rows[:_SAMPLE]], total_rows=len(rows))
        return digest
    text = data if isinstance(data, str) else dumps(data)
    return {"__compacted__": True, "summary": bounded(text, 500), "total_chars": len(text), **where}


def _short(value: Any, limit: int = 200) -> Any:
    text = value if isinstance(value, str) else dumps(value)
    return value if len(text) <= limit else f"[{type(value).__name__} of {len(text)} characters left out]"


def age_session_entries(
    session_log: SessionLog,
    llm: Any = None,
    max_entries_to_keep: int = 5,
    must_preserve: Any = None,
) -> str | None:
    """Replace old entries of the log by one summary; gives its text, or None where there was nothing to do.

    Args:
        llm: Refines the summary if given; its answer counts where it stands in `<summary>` tags.
    """
    compact = getattr(session_log, "compact", None)
    if compact is None:
        return None
    old = session_log.entries[: max(0, len(session_log.entries) - max_entries_to_keep)]
    text = session_log.render_compact(old)
    if not compact(max_entries_to_keep, must_preserve):
        return None
    return _refined(llm, text) if llm is not None else text


def _refined(llm: Any, text: str) -> str:
    prompt = (
        f"Shorten this log and keep names, numbers and findings. Answer in <summary></summary>.\n\n{text}"
    )
    try:
        answer = llm.generate(prompt, max_tokens=800, system_prompt="", temperature=0.1)
    except Exception:
        return text  # The plain summary is complete; only its shortening failed.
    if isinstance(answer, str) and "<summary>" in answer:
        return answer.split("<summary>", 1)[1].split("</summary>", 1)[0].strip() or text
    return text


def emergency_truncate(
    state: Any, session_log: SessionLog, llm: Any = None, keep_recent: int = 3
) -> str | None:
    """Compact the log and empty the results of all but the last steps; gives the log's summary, or None.

    Args:
        keep_recent: Entries and results to keep; 0 keeps none.
    """
    text = age_session_entries(session_log, llm, keep_recent)
    clear_results(state, keep_recent)
    return text


def clear_results(state: Any, keep_recent: int) -> int:
    """Replace all but the last *keep_recent* steps by copies without data; gives how many."""
    steps = getattr(state, "steps", None)
    if not isinstance(steps, list):
        return 0
    cleared = 0
    for index in range(max(0, len(steps) - max(0, keep_recent))):
        result = getattr(steps[index], "tool_result", None)
        if result is not None and result.data is not None:
            steps[index] = replace(steps[index], tool_result=replace(result, data=None))
            cleared += 1
    return cleared
