"""One model call as a trajectory keeps it: only what its request added to the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from looplet.engine.observe import Method, Purpose
from looplet.types import Block, ThreadMessage, Usage


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A model call: what it added to the conversation, and what came back.

    A thread grows by a few messages for each call, so a call that stored all of it would make a
    trajectory grow with its square. `Trajectory.messages_of` puts the whole request together again.

    Attributes:
        number: Position among the run's model calls, from 1.
        step: Number of the first step the call decided.
        method: Backend method that was called.
        purpose: Why the model was asked: `step`, `recovery`, `continuation` or `answer`.
        system_prompt: Sent beside the messages.
        kept: How many messages of the request before stand unchanged at the head of this one.
        added: The messages after those. A text prompt is one user message with one text block; such a
            block may carry `kept_head` and `kept_tail`, the characters it shares with both ends of the
            prompt before.
        tools: Names of the tools that were offered.
        max_tokens: Most tokens the model was allowed to write.
        temperature: Sampling temperature.
        reply: Blocks the model wrote; empty after a failure.
        stop_reason: Why the model stopped writing, or None.
        model: The model that answered, as its provider names it.
        usage: Tokens, or None where the provider did not say.
        duration_ms: Milliseconds, retries included.
        attempts: Requests made, at least 1.
        error: Why no reply came, or None.
    """

    number: int
    step: int
    method: Method = "chat"
    purpose: Purpose = "step"
    system_prompt: str = ""
    kept: int = 0
    added: tuple[ThreadMessage, ...] = ()
    tools: tuple[str, ...] = ()
    max_tokens: int = 2000
    temperature: float = 0.2
    reply: tuple[Block, ...] = field(default=())
    stop_reason: str | None = None
    model: str = ""
    usage: Usage | None = None
    duration_ms: float = 0.0
    attempts: int = 1
    error: str | None = None

    @property
    def text(self) -> str:
        """The text blocks of the reply, joined."""
        return "".join(block.get("text", "") for block in self.reply if block.get("type") == "text")


def added_prompt(prompt: str, before: str) -> ThreadMessage:
    """*prompt* as a message that stores only what differs from the prompt *before* it.

    A text prompt repeats most of the one before: its head (task, tools, the log so far) and its tail
    (what to do next). Neither is stored again.
    """
    head = _shared_head(prompt, before)
    rest = min(len(prompt), len(before)) - head
    tail = _shared_head(prompt[len(prompt) - rest :][::-1], before[len(before) - rest :][::-1])
    block: Block = {"type": "text", "text": prompt[head : len(prompt) - tail]}
    if head or tail:
        block |= {"kept_head": head, "kept_tail": tail}
    return {"role": "user", "content": [block]}


def to_next_request(request: list[ThreadMessage], call: RecordedCall) -> None:
    """Turn the whole *request* of the call before into that of *call*, in place: threads are long."""
    if len(call.added) == 1 and not call.kept:
        request[:] = [_whole_prompt(call.added[0], request)]
    else:
        request[call.kept :] = call.added


def _whole_prompt(message: ThreadMessage, before: Sequence[ThreadMessage]) -> ThreadMessage:
    content = message.get("content")
    block = content[0] if isinstance(content, list) and content else {}
    if "kept_head" not in block:
        return message
    old = prompt_text(before)
    text = old[: block["kept_head"]] + block["text"] + old[len(old) - block["kept_tail"] :]
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def prompt_text(messages: Sequence[ThreadMessage]) -> str:
    """The text prompt that *messages* hold: their first text block, or nothing."""
    for message in messages:
        for block in message.get("content") or ():
            if isinstance(block, dict) and block.get("type") == "text":
                return str(block.get("text", ""))
    return ""


def _shared_head(one: str, other: str) -> int:
    """How many characters two texts share from the start; halving, because slices compare fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
