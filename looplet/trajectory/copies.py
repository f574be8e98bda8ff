"""Copies of what a run says: JSON values that nobody else holds, without secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from looplet.engine.observe import Decision
from looplet.redact import Redactor
from looplet.trajectory.call import RecordedCall, added_prompt, prompt_text, to_next_request
from looplet.types import Block, Step, ThreadMessage, ToolCall, ToolError, ToolResult
from looplet.values import normal

if TYPE_CHECKING:
    from looplet.trajectory.record import Trajectory


class Copier:
    """Makes copies as JSON values.

    Args:
        redact: Takes secrets out; True knows those of the environment and the known shapes, False
            takes nothing out.
    """

    def __init__(self, redact: Redactor | bool = True) -> None:
        self._redactor = Redactor.of_environment() if redact is True else redact or None

    def value(self, value: object) -> Any:
        """Any value as a JSON value."""
        plain = normal(value)
        return plain if self._redactor is None else self._redactor.value(plain)

    def mapping(self, value: object) -> dict[str, Any]:
        """A JSON object; what is none is kept under the key `value`."""
        plain = self.value(value)
        return plain if isinstance(plain, dict) else {"value": plain}

    def text(self, value: object) -> str:
        """Text that UTF-8 can hold."""
        plain = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
        return plain if self._redactor is None else self._redactor.text(plain)

    def blocks(self, blocks: Sequence[Block]) -> tuple[Block, ...]:
        """The blocks of a message."""
        return tuple(self._block(block) for block in blocks)

    def message(self, message: ThreadMessage) -> ThreadMessage:
        """A message of a thread."""
        rest = {name: value for name, value in message.items() if name != "content"}
        return {**self.mapping(rest), "content": list(self.blocks(message["content"]))}

    def step(self, step: Step) -> Step:
        """A step with its call and its result."""
        call, result, detail = step.tool_call, step.tool_result, step.tool_result.error_detail
        return Step(
            step.number,
            ToolCall(self.text(call.tool), self.mapping(call.args), self.text(call.reasoning), call.call_id),
            ToolResult(
                tool=self.text(result.tool),
                args_summary=self.text(result.args_summary),
                data=self.value(result.data),
                error=None if result.error is None else self.text(result.error),
                error_detail=detail and self._error(detail),
                duration_ms=result.duration_ms,
                result_key=result.result_key,
                call_id=result.call_id,
            ),
        )

    def decision(self, decision: Decision) -> Decision:
        """A decision of a hook or rule."""
        return replace(
            decision,
            tool=self.text(decision.tool),
            reason=self.text(decision.reason),
            details=self.mapping(decision.details),
        )

    def reason(self, error: BaseException) -> str:
        """Why something failed: the kind of the exception and what it says."""
        return self.text(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)

    def run(self, run: Trajectory) -> Trajectory:
        """A whole trajectory; equal to the given one if that has no secrets."""
        return replace(
            run,
            task=self.value(run.task),
            steps=tuple(self.step(step) for step in run.steps),
            model_calls=tuple(self.calls(run.model_calls)),
            decisions=tuple(self.decision(decision) for decision in run.decisions),
            error=None if run.error is None else self.text(run.error),
            final_output=self.mapping(run.final_output),
            artifacts=self.mapping(run.artifacts),
            metadata=self.mapping(run.metadata),
            children=tuple(self.run(child) for child in run.children),
        )

    def calls(self, calls: Iterable[RecordedCall]) -> Iterator[RecordedCall]:
        """The model calls of a run, from the first one on.

        They are put together before secrets are sought: a stored part may begin inside one.
        """
        request: list[ThreadMessage] = []
        prompt = ""
        for call in calls:
            to_next_request(request, call)
            if call.method == "chat" or not call.added:
                added, prompt = tuple(self.message(message) for message in call.added), ""
            else:
                before, prompt = prompt, self.text(prompt_text(request))
                added = (added_prompt(prompt, before),)
            yield replace(
                call,
                system_prompt=self.text(call.system_prompt),
                added=added,
                reply=self.blocks(call.reply),
                error=None if call.error is None else self.text(call.error),
            )

    def _block(self, block: Block) -> Block:
        # Texts stay texts whatever they hold; `normal` would make a marked object of half a character.
        whole = {n: self.text(v) if isinstance(v, str) and n != "id" else v for n, v in block.items()}
        return self.mapping(whole)

    def _error(self, error: ToolError) -> ToolError:
        return ToolError(error.kind, self.text(error.message), error.retriable, self.mapping(error.context))
