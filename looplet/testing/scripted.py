"""Models that say what a test wrote down, once, and fail when they are asked for more.

Each class exists for the sync and the async loop and for the three protocols: `ScriptedBackend` takes
prompts, `ScriptedToolBackend` also prompts with tools, `ScriptedChatBackend` also message threads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from operator import is_
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from looplet.errors import ScriptExhausted
from looplet.testing.replies import Calls, Chunks, as_chat_reply, as_text
from looplet.types import Block, Capabilities, ChatReply, ThreadMessage, Usage


class Sent(NamedTuple):
    """A thread as it was sent, in a form that takes no copy of it: requests share what they have in common.

    Attributes:
        shared: Messages of a thread that goes on.
        kept: How many of them were sent.
        own: What was sent after them.
    """

    shared: list[ThreadMessage]
    kept: int
    own: tuple[ThreadMessage, ...]


@dataclass(frozen=True, slots=True)
class ScriptedRequest:
    """One call of a scripted backend, as it came.

    Attributes:
        method: Which method was called.
        prompt: The prompt; `""` for `chat`.
        sent: The thread at that time, for `messages`; None unless `chat`.
        tools: The tool schemas; empty for `generate`.
        system_prompt, max_tokens, temperature: As given.
    """

    method: Literal["chat", "generate", "generate_with_tools"]
    prompt: str = ""
    sent: Sent | None = field(default=None, repr=False)
    tools: list[dict[str, Any]] = field(default_factory=list)
    system_prompt: str = ""
    max_tokens: int = 2000
    temperature: float = 0.2

    @property
    def messages(self) -> list[ThreadMessage]:
        """The thread at that time; empty unless `chat`."""
        sent = self.sent
        return [] if sent is None else [*sent.shared[: sent.kept], *sent.own]

    @property
    def tool_names(self) -> list[str]:
        """Names of the tools that were offered."""
        return [tool["name"] for tool in self.tools]

    @property
    def text(self) -> str:
        """Everything the model was shown, as one text: for `assert "..." in request.text`."""
        shown = [self.system_prompt, self.prompt]
        for message in self.messages:
            content = message["content"]
            blocks = [{"text": content}] if isinstance(content, str) else content
            shown += [str(block.get("text", block.get("content", ""))) for block in blocks]
        return "\n".join(part for part in shown if part)


Said: TypeAlias = str | Calls | Chunks | list[Block] | ChatReply | BaseException | type[BaseException]
"""One reply: what to say, or what to raise."""

Reply: TypeAlias = Said | Callable[[ScriptedRequest], Said] | Callable[[ScriptedRequest], Awaitable[Said]]
"""One line of a script: a reply, or a function that finds it from the request.

The function may be `async` for the async backends.
"""

OnChunk: TypeAlias = Callable[[str], object] | None


class _Script:
    """The lines still to say and the requests so far; the same for every protocol.

    Args:
        replies: The lines, in order; or one list or tuple of them.
        always: Answers when the lines are used up; without it, that is an error.
        usage: Token counts that each reply reports.
    """

    def __init__(
        self, *replies: Reply | Sequence[Reply], always: Reply | None = None, usage: Usage | None = None
    ) -> None:
        lines: Sequence[Any] = replies
        if len(lines) == 1 and isinstance(lines[0], (list, tuple)) and not _is_blocks(lines[0]):
            lines = lines[0]
        for reply in lines:
            if not _is_late(reply):
                as_chat_reply(reply, first_id=1)
        self.requests: list[ScriptedRequest] = []
        self.last_stop_reason: str | None = None
        self.last_usage: Usage | None = None
        self._replies = list(lines)
        self._always = always
        self._usage = usage
        self._thread: list[ThreadMessage] = []
        self._played = 0
        self._calls_made = 0

    @property
    def remaining(self) -> int:
        """How many lines were not said yet."""
        return len(self._replies) - self._played

    def assert_exhausted(self) -> None:
        """Fail unless every line of the script was said."""
        __tracebackhide__ = True
        if self.remaining:
            raise AssertionError(
                f"{self.remaining} of {len(self._replies)} scripted replies were never asked for; the next "
                f"is {_short(self._replies[self._played])}. Take it out of the script, or find out why the "
                "run ended early"
            )

    def _sent(self, messages: Sequence[ThreadMessage]) -> Sent:
        """*messages* as they are now, though the list may go on to grow."""
        shared = self._thread
        if len(shared) > len(messages) or not all(map(is_, shared, messages)):
            shared = self._thread = []
        kept = len(shared)
        own = tuple(messages[kept:])
        shared += own[:-1]  # the last one may be put together anew in the next request
        return Sent(shared, kept, own)

    def _take(self, request: ScriptedRequest) -> object:
        """The reply to *request*, still as the script has it, or an awaitable of that."""
        self.requests.append(request)
        if self.remaining:
            reply: object = self._replies[self._played]
            self._played += 1
        elif self._always is not None:
            reply = self._always
        else:
            raise ScriptExhausted(
                f"model call {len(self.requests)} was not scripted: the script has {len(self._replies)} "
                f"replies. The call was {request.method}, and it ended with {_short(request.text[-200:])}. "
                "Add a reply to the script, or find out why the run goes on"
            )
        if callable(reply) and not isinstance(reply, type):
            return reply(request)
        return reply

    def _say(self, reply: object, on_chunk: OnChunk = None) -> ChatReply:
        """Turn the script's reply into a model's turn, and tell a listener about its text."""
        if isinstance(reply, BaseException) or (isinstance(reply, type) and issubclass(reply, BaseException)):
            raise reply
        said = as_chat_reply(reply, first_id=self._calls_made + 1)
        self._calls_made += sum(block.get("type") == "tool_use" for block in said.blocks)
        if said.usage is None and self._usage is not None:
            said = ChatReply(said.blocks, said.stop_reason, said.model, self._usage)
        self.last_stop_reason, self.last_usage = said.stop_reason, said.usage
        if on_chunk is not None:
            for part in reply.parts if isinstance(reply, Chunks) else (said.text,):
                if part:
                    on_chunk(part)
        return said


class _SyncScript(_Script):
    def _reply(self, request: ScriptedRequest, on_chunk: OnChunk = None) -> ChatReply:
        return self._say(self._take(request), on_chunk)


class _AsyncScript(_Script):
    async def _reply(self, request: ScriptedRequest, on_chunk: OnChunk = None) -> ChatReply:
        reply = self._take(request)
        if isinstance(reply, Awaitable):
            reply = await cast("Awaitable[object]", reply)
        return self._say(reply, on_chunk)


class ScriptedBackend(_SyncScript):
    """A text model with a script: `ScriptedBackend(call("search", q="x"), "plain text", rate_limit())`.

    Tool calls are written as the JSON that the text protocol asks for, so one script serves all protocols.

    Attributes:
        requests: What it was asked, in order.
        remaining: How many lines were not said yet.
        last_stop_reason, last_usage: Of the newest reply.

    Raises:
        ScriptExhausted: It was asked more often than it has lines.
        ConfigError: A line is nothing a model can say.
    """

    def capabilities(self) -> Capabilities:
        """Text only."""
        return Capabilities()

    def generate(
        self, prompt: str, *, max_tokens: int = 2000, system_prompt: str = "", temperature: float = 0.2
    ) -> str:
        """The next reply as text."""
        asked = ScriptedRequest("generate", prompt, None, [], system_prompt, max_tokens, temperature)
        return as_text(self._reply(asked).blocks)


class ScriptedToolBackend(ScriptedBackend):
    """`ScriptedBackend` that also answers a prompt with blocks."""

    def capabilities(self) -> Capabilities:
        """Text, and tools for a single prompt."""
        return Capabilities(native_tools=True)

    def generate_with_tools(
        self,
        prompt: str,
        *,
        tools: list[dict[str, Any]],
        max_tokens: int = 2000,
        system_prompt: str = "",
        temperature: float = 0.2,
    ) -> list[Block]:
        """The next reply as blocks."""
        asked = ScriptedRequest(
            "generate_with_tools", prompt, None, tools, system_prompt, max_tokens, temperature
        )
        return self._reply(asked).blocks


class ScriptedChatBackend(ScriptedBackend):
    """`ScriptedBackend` that also takes message threads, and streams to `on_chunk`."""

    def capabilities(self) -> Capabilities:
        """Message threads with streaming."""
        return Capabilities(chat=True, stream=True)

    def chat(
        self,
        messages: list[ThreadMessage],
        *,
        tools: list[dict[str, Any]],
        max_tokens: int = 2000,
        system_prompt: str = "",
        temperature: float = 0.2,
        on_chunk: OnChunk = None,
    ) -> ChatReply:
        """The next reply as a turn of the thread."""
        asked = ScriptedRequest(
            "chat", "", self._sent(messages), tools, system_prompt, max_tokens, temperature
        )
        return self._reply(asked, on_chunk)


class AsyncScriptedBackend(_AsyncScript):
    """`ScriptedBackend` for the async loop; functions in its script may be `async`."""

    def capabilities(self) -> Capabilities:
        """Text only."""
        return Capabilities()

    async def generate(
        self, prompt: str, *, max_tokens: int = 2000, system_prompt: str = "", temperature: float = 0.2
    ) -> str:
        """The next reply as text."""
        asked = ScriptedRequest("generate", prompt, None, [], system_prompt, max_tokens, temperature)
        return as_text((await self._reply(asked)).blocks)


class AsyncScriptedToolBackend(AsyncScriptedBackend):
    """`ScriptedToolBackend` for the async loop."""

    def capabilities(self) -> Capabilities:
        """Text, and tools for a single prompt."""
        return Capabilities(native_tools=True)

    async def generate_with_tools(
        self,
        prompt: str,
        *,
        tools: list[dict[str, Any]],
        max_tokens: int = 2000,
        system_prompt: str = "",
        temperature: float = 0.2,
    ) -> list[Block]:
        """The next reply as blocks."""
        asked = ScriptedRequest(
            "generate_with_tools", prompt, None, tools, system_prompt, max_tokens, temperature
        )
        return (await self._reply(asked)).blocks


class AsyncScriptedChatBackend(AsyncScriptedBackend):
    """`ScriptedChatBackend` for the async loop."""

    def capabilities(self) -> Capabilities:
        """Message threads with streaming."""
        return Capabilities(chat=True, stream=True)

    async def chat(
        self,
        messages: list[ThreadMessage],
        *,
        tools: list[dict[str, Any]],
        max_tokens: int = 2000,
        system_prompt: str = "",
        temperature: float = 0.2,
        on_chunk: OnChunk = None,
    ) -> ChatReply:
        """The next reply as a turn of the thread."""
        asked = ScriptedRequest(
            "chat", "", self._sent(messages), tools, system_prompt, max_tokens, temperature
        )
        return await self._reply(asked, on_chunk)


def _is_blocks(lines: Sequence[object]) -> bool:
    return bool(lines) and all(isinstance(line, dict) for line in lines)


def _is_late(reply: object) -> bool:
    """Whether *reply* says what it is only when it is played: a function, or something to raise."""
    return callable(reply) or isinstance(reply, BaseException)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
