"""The models that looplet can talk to, through their providers' official SDKs.

`OpenAIBackend` and `AnthropicBackend`, with `Async...` for the async loop. Each takes the SDK's client, or
makes one with `from_env()`, and offers `generate`, `generate_with_tools`, `chat` and `stream`. Any class of
your own with one of these methods is a backend too.

Retries: a call makes at most as many requests as the client allows (`max_retries` + 1, which is 3 if you
did not change it), for rate limits, server errors and broken connections only, and waits as long as
`Retry-After` says. Limits: `timeout_s` bounds the call with its retries; without it the SDK's own limit
(10 minutes a request) holds. The names load on first use, and the SDKs only when you make a client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from looplet.lazy import names_of

if TYPE_CHECKING:
    from looplet.backends.anthropic import (
        AnthropicBackend as AnthropicBackend,
        AnthropicStreamingBackend as AnthropicStreamingBackend,
        AsyncAnthropicBackend as AsyncAnthropicBackend,
    )
    from looplet.backends.failures import failure_of as failure_of
    from looplet.backends.openai import (
        AsyncOpenAIBackend as AsyncOpenAIBackend,
        OpenAIBackend as OpenAIBackend,
        OpenAIStreamingBackend as OpenAIStreamingBackend,
    )

_NAMES = {
    "anthropic": "AnthropicBackend AnthropicStreamingBackend AsyncAnthropicBackend",
    "openai": "AsyncOpenAIBackend OpenAIBackend OpenAIStreamingBackend",
    "failures": "failure_of",
}
"""Module, and the public names it gives to this package."""

__all__, __getattr__ = names_of(__name__, _NAMES)  # pyright: ignore[reportUnsupportedDunderAll]
