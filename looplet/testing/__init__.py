"""Stand-ins for a model, for your tests and for ours.

- Scripted backends say what the test wrote down and fail when asked for more: `ScriptedBackend` (prompts),
  `ScriptedToolBackend` (prompts with tools), `ScriptedChatBackend` (message threads), and `Async...` of each.
  A line of a script is text, `call("search", q="x")`, `calls(...)` for several at once, `chunks(...)` for
  streaming, a list of blocks, a `ChatReply`, an exception (`rate_limit()`), or a function of the request.
- Mock backends say the same things over and over: `MockLLMBackend`, `AsyncMockLLMBackend`.
- `looplet.testing.provider` is a model provider on 127.0.0.1, for tests that go through a provider's SDK.
- `looplet.clock.fixed_clock()` makes time stand still and ids count from 1.
"""

from looplet.clock import FixedClock, fixed_clock
from looplet.testing.mock import AsyncMockLLMBackend, MockLLMBackend
from looplet.testing.replies import (
    bad_request,
    call,
    calls,
    chunks,
    overflow,
    rate_limit,
    server_error,
    timeout,
)
from looplet.testing.scripted import (
    AsyncScriptedBackend,
    AsyncScriptedChatBackend,
    AsyncScriptedToolBackend,
    ScriptedBackend,
    ScriptedChatBackend,
    ScriptedRequest,
    ScriptedToolBackend,
)

__all__ = [
    "AsyncMockLLMBackend",
    "AsyncScriptedBackend",
    "AsyncScriptedChatBackend",
    "AsyncScriptedToolBackend",
    "FixedClock",
    "MockLLMBackend",
    "ScriptedBackend",
    "ScriptedChatBackend",
    "ScriptedRequest",
    "ScriptedToolBackend",
    "bad_request",
    "call",
    "calls",
    "chunks",
    "fixed_clock",
    "overflow",
    "rate_limit",
    "server_error",
    "timeout",
]
