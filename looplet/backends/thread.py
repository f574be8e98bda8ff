"""Message threads that every provider accepts.

Providers reject a thread in which a tool call is not answered exactly once in the next message, in which
two messages of one role follow each other, or in which a text is blank. `mended` repairs all of that, and
leaves a thread that is right as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from looplet.types import Block, ThreadMessage

NOT_RUN = "This call was not run."
"""Answer that is filled in for a call without one."""

START = "Continue."
"""What the user says where a thread begins with the model's own turn."""

_BAD_ID = re.compile(r"[^a-zA-Z0-9_-]")
_BAD_IN_NAME = re.compile(r"[^a-zA-Z0-9_.-]")
_NAME_CHARS = 64


def mended(thread: Iterable[ThreadMessage]) -> list[ThreadMessage]:
    """*thread* as alternating turns that begin with the user, each call answered once, right after it.

    Answers come first in their message. Missing ones are filled in with `NOT_RUN`; an answer to no call
    becomes text. Call ids are unique and made of letters, digits, `_` and `-`; names of tools may have a
    `.` too, and at most 64 characters. Blank text is left out.
    """
    turns: list[ThreadMessage] = []
    ids = _Ids()
    owed: list[str] = []
    for role, blocks in _merged(thread):
        if role == "assistant":
            turns += _opening(turns)
            blocks = [ids.fresh(block) if block["type"] == "tool_use" else block for block in blocks]
            owed = [block["id"] for block in blocks if block["type"] == "tool_use"]
        else:
            blocks = _answered(blocks, owed, ids)
            owed = []
        turns.append({"role": role, "content": blocks})
    if owed:
        turns.append({"role": "user", "content": [_answer(call_id) for call_id in owed]})
    return turns


def _opening(turns: Sequence[ThreadMessage]) -> list[ThreadMessage]:
    return [] if turns else [{"role": "user", "content": [{"type": "text", "text": START}]}]


def _merged(thread: Iterable[ThreadMessage]) -> Iterator[tuple[str, list[Block]]]:
    role, blocks = "", list[Block]()
    for message in thread:
        fresh = list(_blocks(message))
        if not fresh:
            continue
        if message["role"] == role:
            blocks += fresh
            continue
        if blocks:
            yield role, blocks
        role, blocks = message["role"], fresh
    if blocks:
        yield role, blocks


def _blocks(message: ThreadMessage) -> Iterator[Block]:
    """The blocks of a message that may stand there: none that are blank, none in the wrong role."""
    content = message["content"]
    for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        kind = block.get("type")
        if kind == "text" and not str(block.get("text", "")).strip():
            continue
        if (kind == "tool_use") != (message["role"] == "assistant") and kind in ("tool_use", "tool_result"):
            yield {"type": "text", "text": json.dumps(block, default=str)}
        else:
            yield block


class _Ids:
    """Call ids that are unique in the thread, and which new id an old one got."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._renamed: dict[str, list[str]] = {}

    def fresh(self, block: Block) -> Block:
        old = str(block.get("id") or "")
        base = new = _BAD_ID.sub("_", old) or "call"
        number = 1
        while new in self._used:
            number += 1
            new = f"{base}_{number}"
        self._used.add(new)
        self._renamed.setdefault(old, []).append(new)
        name = _callable_name(block.get("name"))
        return block if new == old and name == block.get("name") else {**block, "id": new, "name": name}

    def take(self, old: str) -> list[str]:
        """The new ids of *old* since it was last asked for."""
        return self._renamed.pop(old, [])


def _callable_name(name: object) -> str:
    """*name* as a provider takes it; models make up names that it refuses to see again."""
    if not isinstance(name, str) or not name:
        return "unnamed"
    return _BAD_IN_NAME.sub("_", name)[:_NAME_CHARS]


def _answered(blocks: list[Block], owed: list[str], ids: _Ids) -> list[Block]:
    """*blocks* with one answer for each call that is owed one, in the order of the calls."""
    answers: dict[str, Block] = {}
    waiting: dict[str, list[str]] = {}
    rest: list[Block] = []
    for block in blocks:
        if block["type"] != "tool_result":
            rest.append(block)
            continue
        old = str(block.get("tool_use_id") or "")
        queue = waiting.setdefault(old, [new for new in ids.take(old) if new in owed])
        if queue:
            new = queue.pop(0)
            answers[new] = block if new == old else {**block, "tool_use_id": new}
        else:
            rest.append({"type": "text", "text": f"Result of an earlier call: {text_of_result(block)}"})
    return [answers.get(call_id) or _answer(call_id) for call_id in owed] + rest


def _answer(call_id: str) -> Block:
    return {"type": "tool_result", "tool_use_id": call_id, "content": NOT_RUN, "is_error": True}


def text_of_result(block: Block) -> str:
    """The content of a `tool_result` block as text."""
    content = block.get("content", "")
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) and "text" in part for part in content):
        return "\n".join(str(part["text"]) for part in content)
    return json.dumps(content, default=str)
