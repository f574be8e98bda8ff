"""The observer that turns a run into a trajectory while it happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from looplet import clock
from looplet.engine.observe import Decision, ModelCall, Request, RunObserver
from looplet.trajectory.call import RecordedCall, added_prompt
from looplet.trajectory.record import Trajectory, cost_of, total_usage
from looplet.types import Block, Prices, Step, ThreadMessage, ToolCall, ToolError, ToolResult
from looplet.values import normal


class TrajectoryBuilder(RunObserver):
    """Hears of a run and holds its trajectory, at any moment and also when the run dies.

    Values are copied as JSON values when they are told, so nothing that a tool or hook does later can
    change them. Put one among `LoopConfig.observers` and read `trajectory`.

    Args:
        prices: US dollars for a million tokens, by model name, for `cost_usd`.
        metadata: Put into the trajectory as it is.
    """

    def __init__(self, *, prices: Prices | None = None, metadata: dict[str, Any] | None = None) -> None:
        self.artifacts: dict[str, Any] = {}
        self._prices = prices
        self._metadata = _object(metadata or {})
        self._told = Trajectory()
        self._steps: list[Step] = []
        self._calls: list[RecordedCall] = []
        self._decisions: list[Decision] = []
        self._children: list[Trajectory] = []
        self._prompt = ""
        self._sent = 0
        self._started_s = clock.perf()

    def run_started(self, task: object, *, run_id: str) -> None:
        """Keep the task and the id, and start the clock."""
        self._told = replace(self._told, task=normal(task), run_id=run_id)
        self._started_s = clock.perf()

    def model_called(self, call: ModelCall) -> None:
        """Keep what the request added, and the reply."""
        request, reply = call.request, call.reply
        kept, added = self._added(request)
        self._calls.append(
            RecordedCall(
                number=call.number,
                step=call.step,
                method=request.method,
                purpose=request.purpose,
                system_prompt=_text(request.system_prompt),
                kept=kept,
                added=added,
                tools=self._tool_names(request.tools),
                max_tokens=request.max_tokens,
                temperature=request.temperature,
                reply=_blocks(reply.blocks) if reply else (),
                stop_reason=reply.stop_reason if reply else None,
                model=reply.model if reply else "",
                usage=reply.usage if reply else None,
                duration_ms=call.duration_ms,
                attempts=call.attempts,
                error=_reason(call.error) if call.error else None,
            )
        )

    def decided(self, decision: Decision) -> None:
        """Keep the decision."""
        reason, details = _text(decision.reason), _object(decision.details)
        self._decisions.append(replace(decision, reason=reason, details=details))

    def step_taken(self, step: Step) -> None:
        """Keep a copy of the step."""
        self._steps.append(copy_step(step))

    def answered(self, output: dict[str, Any]) -> None:
        """Keep the final output."""
        self._told = replace(self._told, final_output=_object(output))

    def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
        """Keep why and when the run ended."""
        self._told = replace(
            self._told,
            stop_reason=stop_reason,
            error=_reason(error) if error else self._last_failure(stop_reason),
            duration_ms=(clock.perf() - self._started_s) * 1000,
        )

    def add_child(self, child: Trajectory) -> None:
        """Keep the trajectory of a run that this run started."""
        self._children.append(child)

    @property
    def trajectory(self) -> Trajectory:
        """What was heard up to now."""
        return replace(
            self._told,
            steps=tuple(self._steps),
            model_calls=tuple(self._calls),
            decisions=tuple(self._decisions),
            usage=total_usage(self._calls),
            cost_usd=cost_of(self._calls, self._prices) if self._prices is not None else None,
            artifacts=_object(self.artifacts),
            metadata=self._metadata,
            children=tuple(self._children),
        )

    def _last_failure(self, stop_reason: str) -> str | None:
        """The error of the model call that the run died of, if it did."""
        survived = not self._calls or stop_reason in ("done", "cancelled")
        return None if survived else self._calls[-1].error

    def _added(self, request: Request) -> tuple[int, tuple[ThreadMessage, ...]]:
        """How much of the request before stands, and the messages that are new."""
        if request.method != "chat":
            prompt = _text(request.prompt)
            message = added_prompt(prompt, self._prompt)
            self._prompt, self._sent = prompt, 1
            return 0, (message,)
        kept = min(request.kept, self._sent)
        self._sent, self._prompt = len(request.messages), ""
        return kept, tuple(_message(message) for message in request.messages[kept:])

    def _tool_names(self, schemas: Sequence[dict[str, Any]]) -> tuple[str, ...]:
        names = tuple(_text(schema.get("name", "")) for schema in schemas)
        last = self._calls[-1].tools if self._calls else ()
        return last if names == last else names  # one tuple for the many calls that offer the same


def copy_step(step: Step) -> Step:
    """A copy of *step* that shares nothing with it and holds JSON values only."""
    call, result, detail = step.tool_call, step.tool_result, step.tool_result.error_detail
    return Step(
        step.number,
        ToolCall(_text(call.tool), _object(call.args), _text(call.reasoning), _text(call.call_id)),
        ToolResult(
            tool=_text(result.tool),
            args_summary=_text(result.args_summary),
            data=normal(result.data),
            error=None if result.error is None else _text(result.error),
            error_detail=detail
            and ToolError(detail.kind, _text(detail.message), detail.retriable, _object(detail.context)),
            duration_ms=result.duration_ms,
            result_key=result.result_key,
            call_id=result.call_id,
        ),
    )


def _object(value: object) -> dict[str, Any]:
    """A JSON object; what is none is kept under the key `value`."""
    plain = normal(value)
    return plain if isinstance(plain, dict) else {"value": plain}


def _message(message: ThreadMessage) -> ThreadMessage:
    return {**_object(message), "content": list(_blocks(message["content"]))}


def _blocks(blocks: Sequence[Block]) -> tuple[Block, ...]:
    return tuple(_object({k: _text(v) if type(v) is str else v for k, v in b.items()}) for b in blocks)


def _text(value: object) -> str:
    """Text that UTF-8 can hold."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _reason(error: BaseException) -> str:
    return _text(f"{type(error).__name__}: {error}") if str(error) else type(error).__name__
