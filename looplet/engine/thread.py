"""A conversation as the message thread that a chat backend takes.

The thread only grows: what was sent once is sent again unchanged, so a provider's prompt cache keeps
working. It is valid for every provider whatever a compaction left of the conversation: it starts with
the user, roles alternate, and every tool call is answered exactly once in the message after it.
"""

from __future__ import annotations

from looplet.conversation import Conversation, Message, MessageRole
from looplet.types import Block, ThreadMessage, ToolResult
from looplet.values import bounded, dumps

RESULT_CHARS = 20_000
"""Most characters of one tool result that a thread carries; the middle of a longer one is cut."""

NOT_RUN = "This call was not run."


def result_text(result: ToolResult, limit: int = RESULT_CHARS) -> str:
    """What the model reads of a result: the error, the text, or the JSON of the data."""
    if result.error:
        return bounded(f"ERROR: {result.error}", limit)
    data = result.data
    return bounded(data if isinstance(data, str) else dumps(data), limit)


class Thread:
    """Renders a conversation incrementally: each message once, all of them again after a compaction.

    Args:
        task_text: The task; stands at the head of every thread, also when a compaction removed it.
        conversation: The messages. Their order and pairing are taken as they come.
    """

    def __init__(self, task_text: str, conversation: Conversation) -> None:
        self._task: Block = {"type": "text", "text": task_text or "Begin."}
        self._conversation = conversation
        self._reset()

    def _reset(self) -> None:
        self._source = self._conversation.messages
        self._revision = self._conversation.revision
        self._seen = 0
        self._open: list[str] = []
        self._sent: list[ThreadMessage] = [{"role": "user", "content": [self._task]}]
        self._before: list[tuple[int, ThreadMessage, list[str]]] = []
        self.unchanged = 0

    def messages(self) -> list[ThreadMessage]:
        """The thread now. The list is the live one; messages in it are replaced, never edited."""
        conversation = self._conversation
        source = conversation.messages
        replaced = conversation.replaced_since(self._revision)
        if source is not self._source or replaced is None or len(source) < self._seen:
            self._reset()
        elif replaced and min(replaced) < self._seen:
            self._go_back_to(min(replaced))
        self._revision = conversation.revision
        while self._seen < len(source):
            self._before.append((len(self._sent), self._sent[-1], self._open[:]))
            self._add(source[self._seen])
            self._seen += 1
        self._answer_open()
        return self._sent

    def _go_back_to(self, place: int) -> None:
        """Forget what was rendered of the messages from *place* on: the one there was replaced."""
        length, last, self._open = self._before[place]
        # Another list: a request that was made may still hold the one before.
        self._sent = [*self._sent[: length - 1], last]
        del self._before[place:]
        self._seen = place
        self.unchanged = min(self.unchanged, length - 1)

    def mark_sent(self) -> None:
        """Remember that all messages so far went out: what is added to the last one makes it a new one."""
        self.unchanged = len(self._sent)

    def _add(self, message: Message) -> None:
        if message.role is MessageRole.TOOL:
            self._put("user", [self._tool_block(message)])
        elif message.role is MessageRole.ASSISTANT:
            blocks = _assistant_blocks(message)
            if blocks:
                self._answer_open()
                self._put("assistant", blocks)
                self._open = [b["id"] for b in blocks if b["type"] == "tool_use"]
        elif message.metadata.get("kind") != "task" and message.text:
            self._put("user", [{"type": "text", "text": message.text}])

    def _tool_block(self, message: Message) -> Block:
        result = message.tool_result
        text = message.text or (result_text(result) if result else "")
        call_id = result.call_id if result else None
        if call_id in self._open:
            self._open.remove(call_id)
            failed = bool(result and result.error)
            return {"type": "tool_result", "tool_use_id": call_id, "content": text, "is_error": failed}
        name = result.tool if result else "tool"
        return {"type": "text", "text": f"Result of {name}:\n{text}"}

    def _answer_open(self) -> None:
        for call_id in self._open:
            block = {"type": "tool_result", "tool_use_id": call_id, "content": NOT_RUN, "is_error": True}
            self._put("user", [block])
        self._open = []

    def _put(self, role: str, blocks: list[Block]) -> None:
        last = self._sent[-1]
        if last["role"] == role:
            # Providers want the answers to tool calls before any other text of the same turn.
            answers = [b for b in blocks if b["type"] == "tool_result"]
            others = [b for b in blocks if b["type"] != "tool_result"]
            at = sum(b["type"] == "tool_result" for b in last["content"]) if answers else 0
            content = [*last["content"][:at], *answers, *last["content"][at:], *others]
            self._sent[-1] = {"role": role, "content": content}
            self.unchanged = min(self.unchanged, len(self._sent) - 1)
        else:
            self._sent.append({"role": role, "content": blocks})


def with_trailing(messages: list[ThreadMessage], text: str) -> list[ThreadMessage]:
    """*messages* with *text* as one last user block, which the next request will not repeat."""
    if not text:
        return messages
    block: Block = {"type": "text", "text": text}
    last = messages[-1]
    if last["role"] == "user":
        return [*messages[:-1], {"role": "user", "content": [*last["content"], block]}]
    return [*messages, {"role": "user", "content": [block]}]


def _assistant_blocks(message: Message) -> list[Block]:
    if isinstance(message.content, str):
        blocks: list[Block] = [{"type": "text", "text": message.content}] if message.content else []
    else:
        blocks = [_sendable(b.data) for b in message.content]
    if message.tool_call is not None:
        call = message.tool_call
        blocks.append({"type": "tool_use", "id": call.call_id, "name": call.tool, "input": call.args})
    return [b for b in blocks if b.get("type") != "text" or b.get("text")]


def _sendable(block: Block) -> Block:
    if block.get("type") == "tool_use" and "truncated" in block:
        return {key: value for key, value in block.items() if key != "truncated"}
    return block
