"""The conversation: the messages of a run, which are what a message thread sends, cut and summarised."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, TypeAlias

from looplet.conversation.message import (
    BOUNDARY_KIND,
    ContentBlock,
    Message,
    MessageRole,
    is_boundary,
    lines_of,
    message_from_dict,
    message_to_dict,
)
from looplet.errors import ConfigError
from looplet.types import ToolCall, ToolResult

__all__ = [
    "BOUNDARY_KIND",
    "LARGE_CONTENT_TYPES",
    "SUMMARY_HEAD",
    "ContentBlock",
    "Conversation",
    "Message",
    "MessageRole",
    "Summarizer",
    "default_summarizer",
    "is_boundary",
    "message_from_dict",
    "message_to_dict",
    "safe_cut",
]

LARGE_CONTENT_TYPES = frozenset({"image", "audio", "video", "binary"})
"""Kinds of content block that are left out before messages are summarised."""

SUMMARY_HEAD = "[Summary of prior context]\n"
"""How the message begins that stands for what `Conversation.compact` took away."""

_BOUNDARIES_KEPT = 10
_VERSION = 1
_COUNTED_RESULT_CHARS = 20_000  # more of one result is never sent

Summarizer: TypeAlias = Callable[[list[Message]], str]
"""Makes one text of several messages."""


class Conversation:
    """Messages, oldest first.

    Attributes:
        messages: The messages. Appending to the list is fine; for anything else use the methods. What was
            only noted so far becomes messages when they are asked for.
        revision: Changes whenever something else than appending happened, so that a reader who followed
            the messages knows when to start again.
    """

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        if cls.append is not Conversation.append:  # it wants each message when it comes
            cls.note_turn = cls._append_pair  # type: ignore[method-assign, assignment]
            cls.note_step = cls._append_pair  # type: ignore[method-assign, assignment]

    def __init__(self, messages: Iterable[Message] | None = None) -> None:
        self._messages: list[Message] = list(messages) if messages is not None else []
        self._noted: list[tuple[float, str, str] | tuple[float, ToolCall, ToolResult]] = []
        self.revision = 0
        self._replaced: list[int] = []
        self._chars = 0
        self._counted = 0
        self._last_counted: Message | None = None

    @property
    def messages(self) -> list[Message]:
        """The messages, oldest first: the list itself, not a copy."""
        if self._noted:
            noted, self._noted = self._noted, []
            self._messages += [message for one in noted for message in _messages_of(*one)]
        return self._messages

    @messages.setter
    def messages(self, messages: list[Message]) -> None:
        self._messages, self._noted = messages, []

    def note_turn(self, when: float, asked: str, said: str) -> None:
        """Add what was asked and what the model said, as two messages at the end.

        For a run that keeps a record nobody may ask for: the messages are made when they are read.

        Args:
            when: The time stamp, in seconds since the epoch.
        """
        self._noted.append((when, asked, said))

    def note_step(self, when: float, call: ToolCall, result: ToolResult) -> None:
        """Add a call and its result, in the way of `note_turn`."""
        self._noted.append((when, call, result))

    def _append_pair(self, when: float, first: Any, second: Any) -> None:
        for message in _messages_of(when, first, second):
            self.append(message)

    def append(self, msg: Message) -> Conversation:
        """Add *msg* at the end; gives the conversation itself."""
        self.messages.append(msg)
        return self

    def replace(self, index: int, message: Message) -> None:
        """Put *message* in the place of the one at *index*."""
        place = range(len(self.messages))[index]
        before, self.messages[place] = self.messages[place], message
        self.revision += 1
        self._replaced.append(place)
        if place < self._counted:
            self._chars += _chars(message) - _chars(before)
        if place == self._counted - 1:
            self._last_counted = message

    def replaced_since(self, revision: int) -> list[int] | None:
        """Where messages were replaced since then, oldest first; None if more than that happened."""
        known = revision - (self.revision - len(self._replaced))
        return self._replaced[known:] if known >= 0 else None

    def begin_with(self, messages: Iterable[Message]) -> None:
        """Hold *messages* instead, in the same list."""
        self.messages[:] = messages
        self._changed()

    def fork(self) -> Self:
        """A deep copy: what is added to or changed in one is not seen in the other.

        Tool data that cannot be copied (a lock, a connection) is shared, and so is what a subclass adds.
        """
        twin = copy.copy(self)
        Conversation.__init__(twin, (_copied(message) for message in self.messages))
        return twin

    def truncate(self, keep_last: int, preserve_system: bool = True) -> Conversation:
        """Keep the last *keep_last* messages; gives the conversation itself.

        More are kept where the cut would part a tool call from its result.

        Args:
            keep_last: 0 keeps none.
            preserve_system: Keep system messages too, before the others; they are not counted.
        """
        system = [m for m in self.messages if m.role is MessageRole.SYSTEM] if preserve_system else []
        others = (
            [m for m in self.messages if m.role is not MessageRole.SYSTEM]
            if preserve_system
            else self.messages
        )
        start = safe_cut(others, max(0, len(others) - max(0, keep_last)))
        self.messages[:] = [*_without_old_boundaries(system), *others[start:]]
        self._changed()
        return self

    def compact(self, summarizer: Summarizer | None = None, keep_recent: int = 2) -> Conversation:
        """Replace all but the last *keep_recent* messages by a summary; gives the conversation itself.

        What is left: the newest compaction boundaries, one system message with the summary, the last user
        message of what was removed, and the recent messages; more of them where the cut would part a tool
        call from its result. Nothing happens to a conversation of `keep_recent + 1` messages or fewer.

        Args:
            summarizer: Makes the summary; large blocks (images and the like) are left out of what it gets.
            keep_recent: 0 keeps none.
        """
        keep_recent = max(0, keep_recent)
        if len(self.messages) <= keep_recent + 1:
            return self
        cut = safe_cut(self.messages, len(self.messages) - keep_recent)
        removed = self.messages[:cut]
        boundaries = [m for m in removed if is_boundary(m)]
        rest = [m for m in removed if not is_boundary(m)]
        asked = [m for m in rest if m.role is MessageRole.USER][-1:]
        if len(rest) < 2 or (_is_summary(rest[0]) and len(rest) <= 1 + len(asked)):
            return self  # a summary of the summary alone would only lose words
        summary = (summarizer or default_summarizer)([_without_large_blocks(m) for m in rest])
        head = Message(MessageRole.SYSTEM, f"{SUMMARY_HEAD}{summary}")
        self.messages[:] = [*boundaries[-_BOUNDARIES_KEPT:], head, *asked, *self.messages[cut:]]
        self._changed()
        return self

    def find_compaction_boundaries(self) -> list[Message]:
        """The messages that mark where older steps were dropped, oldest first."""
        return [message for message in self.messages if is_boundary(message)]

    def render(self, max_tokens: int | None = None) -> str:
        """The messages as lines a person can read.

        Args:
            max_tokens: Keep only as many of the last lines as fit, at 4 characters a token.
        """
        lines = [line for message in self.messages for line in lines_of(message)]
        if max_tokens is None:
            return "\n".join(lines)
        left = max_tokens * 4
        kept: list[str] = []
        for line in reversed(lines):
            if len(line) > left:
                kept += [line[-left:]] if left > 0 and not kept else []
                break
            kept.append(line)
            left -= len(line) + 1
        return "\n".join(reversed(kept))

    def serialize(self) -> dict[str, Any]:
        """`{"version": 1, "messages": [...]}`; tool data is taken as it is."""
        return {"version": _VERSION, "messages": [message_to_dict(message) for message in self.messages]}

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> Conversation:
        """The conversation that `serialize` wrote.

        Raises:
            ConfigError: *data* has a version or a shape that this code does not know.
        """
        version = data.get("version", _VERSION)
        if version != _VERSION:
            raise ConfigError(
                f"a conversation of version {version!r} cannot be read; this code reads {_VERSION}"
            )
        messages = []
        for index, item in enumerate(data.get("messages", ())):
            try:
                messages.append(message_from_dict(item))
            except (KeyError, TypeError, ValueError, AttributeError) as problem:
                raise ConfigError(f"messages[{index}] is not a message: {problem!r}") from problem
        return cls(messages)

    @property
    def token_estimate(self) -> int:
        """Characters of all messages, calls and results included, over 4. Cheap to ask again and again."""
        messages = self.messages
        counted = self._counted
        if counted > len(messages) or (counted and messages[counted - 1] is not self._last_counted):
            self._chars = counted = 0
        if counted < len(messages):
            self._chars += sum(map(_chars, messages[counted:] if counted else messages))
            self._counted, self._last_counted = len(messages), messages[-1]
        elif not messages:
            self._counted, self._last_counted = 0, None
        return self._chars // 4

    @property
    def entities(self) -> set[str]:
        """Everything that results named in `data["entities"]`."""
        found: set[str] = set()
        for message in self.messages:
            data = message.tool_result.data if message.tool_result else None
            names = data.get("entities") if isinstance(data, dict) else None
            if isinstance(names, (list, tuple, set, frozenset)):
                found.update(name for name in names if isinstance(name, str))
        return found

    def _changed(self) -> None:
        self.revision += 1
        self._replaced = []
        self._chars = self._counted = 0
        self._last_counted = None


def _messages_of(when: float, first: Any, second: Any) -> tuple[Message, Message]:
    if isinstance(first, str):
        asked = Message(MessageRole.USER, first, timestamp=when)
        return asked, Message(MessageRole.ASSISTANT, second, timestamp=when)
    called = Message(MessageRole.ASSISTANT, "", first, timestamp=when)
    return called, Message(MessageRole.TOOL, "", None, second, timestamp=when)


def _is_summary(message: Message) -> bool:
    return message.role is MessageRole.SYSTEM and message.text.startswith(SUMMARY_HEAD)


def safe_cut(messages: Sequence[Message], start: int) -> int:
    """The largest index up to *start* at which the messages can be cut without parting call and result."""
    if not 0 < start < len(messages):
        return start
    cut = start
    while cut > 0 and messages[cut].role is MessageRole.TOOL:
        cut -= 1
    if messages[cut].role is MessageRole.TOOL or not _makes_call(messages[cut]):
        return start  # results without a call: there is nothing to keep together
    while cut > 0 and _makes_call(messages[cut - 1]):
        cut -= 1  # calls made in one turn stand side by side
    return cut


def _makes_call(message: Message) -> bool:
    if message.role is not MessageRole.ASSISTANT:
        return False
    if message.tool_call is not None:
        return True
    return isinstance(message.content, list) and any(b.kind == "tool_use" for b in message.content)


def _without_old_boundaries(messages: list[Message]) -> list[Message]:
    boundaries = [message for message in messages if is_boundary(message)]
    old = {id(message) for message in boundaries[:-_BOUNDARIES_KEPT]}
    return [message for message in messages if id(message) not in old] if old else messages


def _without_large_blocks(message: Message) -> Message:
    if isinstance(message.content, str) or all(b.kind not in LARGE_CONTENT_TYPES for b in message.content):
        return message
    blocks = [
        ContentBlock("text", {"text": f"[{block.kind} omitted during compaction]"})
        if block.kind in LARGE_CONTENT_TYPES
        else block
        for block in message.content
    ]
    return replace(message, content=blocks)


def _copied(message: Message) -> Message:
    try:
        return copy.deepcopy(message)
    except Exception:  # whatever a __deepcopy__ of a stranger's object raises
        result = message.tool_result
        return replace(
            message,
            content=copy.copy(message.content),
            tool_result=replace(result) if result else None,
            metadata=dict(message.metadata),
        )


def _block_chars(block: ContentBlock) -> int:
    return len(block.text) + (len(str(block.data.get("input", ""))) if block.kind == "tool_use" else 0)


def _chars(message: Message) -> int:
    content = message.content
    size = len(content) if isinstance(content, str) else sum(map(_block_chars, content))
    if message.tool_call is not None:
        size += len(message.tool_call.tool) + len(str(message.tool_call.args))
    result = message.tool_result
    if result is not None and not size:
        shown = result.error or ("" if result.data is None else str(result.data))
        size = min(len(shown), _COUNTED_RESULT_CHARS)
    return size


_SUMMARY_CHARS = 1000
_SUMMARY_LINES = 30
_LINE_CHARS = 200


def default_summarizer(messages: list[Message]) -> str:
    """A summary without a model: tools used and the last lines, of bounded length.

    What an earlier summary said is carried on, up to 1,000 characters.
    """
    earlier = ""
    lines: list[str] = []
    for message in messages:
        if _is_summary(message):
            earlier = message.text[len(SUMMARY_HEAD) :].strip()[:_SUMMARY_CHARS]
        else:
            lines += [line[:_LINE_CHARS] for line in lines_of(message)]
    tools = Counter(message.tool_call.tool for message in messages if message.tool_call is not None)
    parts = [f"{len(messages)} earlier messages"]
    if tools:
        parts.append("Tools used: " + ", ".join(f"{tool}×{count}" for tool, count in tools.items()))
    if earlier:
        parts.append(f"Before that: {earlier}")
    if len(lines) > _SUMMARY_LINES:
        parts.append(f"… {len(lines) - _SUMMARY_LINES} lines left out")
    return "\n".join(parts + lines[-_SUMMARY_LINES:])
