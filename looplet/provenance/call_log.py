"""The model calls of a run, as they are kept: cut, without secrets, numbered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from looplet import clock
from looplet.engine.observe import ModelCall, RunObserver
from looplet.provenance.call import LLMCall
from looplet.redact import Redactor
from looplet.types import ChatReply
from looplet.values import dumps, normal


class CallLog:
    """Keeps model calls.

    Args:
        max_chars_per_call: Most characters kept of one prompt or reply; more is cut with a visible mark.
        redact: Called with every text before it is kept, after what is secret by itself was taken out.

    Attributes:
        calls: The calls so far.
        current_step_num: Stamped on calls; a `TrajectoryRecorder` sets it.
        on_call: Called with each call that was kept.
    """

    def __init__(
        self, *, max_chars_per_call: int = 200_000, redact: Callable[[str], str] | None = None
    ) -> None:
        self._max_chars = max_chars_per_call
        self._redactor = Redactor.of_environment(extra=[redact] if redact else [])
        self.calls: list[LLMCall] = []
        self.current_step_num: int | None = None
        self.on_call: Callable[[LLMCall], None] | None = None
        self._thread_sent = 0

    def _keep(
        self,
        name: str,
        timestamp: float,
        duration_ms: float,
        first: Any,
        options: Mapping[str, Any],
        outcome: Any,
    ) -> None:
        failed = isinstance(outcome, Exception)
        response = "" if failed else outcome.blocks if isinstance(outcome, ChatReply) else outcome
        call = LLMCall(
            index=len(self.calls),
            timestamp=timestamp,
            duration_ms=duration_ms,
            method=name,
            prompt=self._text(self._new_part(first)),
            system_prompt=self._text(options.get("system_prompt", "")),
            response=self._response(response),
            temperature=options.get("temperature", 0.2),
            max_tokens=options.get("max_tokens", 2000),
            tools=self._clean(options["tools"]) if options.get("tools") else None,
            step_num=self.current_step_num,
            error=self._text(f"{type(outcome).__name__}: {outcome}") if failed else None,
        )
        self.calls.append(call)
        if self.on_call is not None:
            self.on_call(call)

    def _new_part(self, first: Any) -> str:
        """A prompt as it is; of a thread only what the calls before did not send."""
        if isinstance(first, str):
            return first
        messages = list(first)
        start = self._thread_sent if self._thread_sent < len(messages) else 0
        self._thread_sent = len(messages)
        return json.dumps(normal(messages[start:]), indent=1, ensure_ascii=False)

    def _response(self, response: Any) -> Any:
        if isinstance(response, str):
            return self._text(response)
        blocks = self._clean(response)
        text = dumps(blocks)
        return blocks if len(text) <= self._max_chars else self._text(text)

    def _clean(self, value: Any) -> Any:
        plain: Any = normal(value)
        return self._redactor.value(plain)

    def _text(self, text: str) -> str:
        text = self._redactor.text(text)
        limit = self._max_chars
        if len(text) <= limit:
            return text
        kept = max(0, limit - 40)
        return f"{text[:kept]}\n... [truncated {len(text) - kept} chars] ..."[: max(limit, 40)]


class ObservedCalls(CallLog, RunObserver):
    """Keeps the model calls that a loop tells of, also those of a run that is resumed: they are told again.

    One call stands for all attempts at it.
    """

    def model_called(self, call: ModelCall) -> None:
        """Keep a call."""
        request, reply = call.request, call.reply
        self.current_step_num = call.step
        options = {
            "system_prompt": request.system_prompt,
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "tools": list(request.tools),
        }
        first = list(request.messages) if request.method == "chat" else request.prompt
        outcome: Any = call.error if reply is None else reply
        if reply is not None and request.method == "generate":
            outcome = reply.text
        self._keep(request.method, clock.now(), call.duration_ms, first, options, outcome)
