"""Models that say the same few things over and over: for trying a loop out, and for measuring it.

A test should prefer the scripted backends: a mock that starts over hides a call too many.
"""

from __future__ import annotations

from collections.abc import Sequence


class _Cycle:
    def __init__(self, responses: Sequence[str] | None = None) -> None:
        self.responses = list(responses or ("mock response",))
        self.reset()

    def reset(self) -> None:
        """Start over with the first response, and forget the calls."""
        self.calls = 0
        self.last_prompt = ""
        self.last_system_prompt = ""

    def _say(self, prompt: str, system_prompt: str) -> str:
        reply = self.responses[self.calls % len(self.responses)]
        self.calls += 1
        self.last_prompt = prompt
        self.last_system_prompt = system_prompt
        return reply


class MockLLMBackend(_Cycle):
    """A text backend that gives its responses in order and then begins again.

    Args:
        responses: What to say; none means `"mock response"` for ever.

    Attributes:
        calls: How many answers were given.
        last_prompt: The newest prompt, `""` before the first call.
        last_system_prompt: The system prompt that came with it.
    """

    def generate(
        self, prompt: str, *, max_tokens: int = 2000, system_prompt: str = "", temperature: float = 0.2
    ) -> str:
        """The next response."""
        return self._say(prompt, system_prompt)


class AsyncMockLLMBackend(_Cycle):
    """`MockLLMBackend` for the async loop."""

    async def generate(
        self, prompt: str, *, max_tokens: int = 2000, system_prompt: str = "", temperature: float = 0.2
    ) -> str:
        """The next response."""
        return self._say(prompt, system_prompt)
