"""The observer that turns a run into a trajectory while it happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from looplet import clock
from looplet.engine.observe import Decision, ModelCall, Request, RunObserver
from looplet.redact import Redactor
from looplet.trajectory.call import RecordedCall, added_prompt
from looplet.trajectory.copies import Copier
from looplet.trajectory.record import Trajectory, cost_of, total_usage
from looplet.types import Prices, Step, ThreadMessage


class TrajectoryBuilder(RunObserver):
    """Hears of a run and holds its trajectory, at any moment and also when the run dies.

    Values are copied as JSON values when they are told, so nothing that a tool or hook does later can
    change them. Secrets are taken out then, and not only from files, so that a run looks the same live,
    from disk and in a report. Put one among `LoopConfig.observers` and read `trajectory`.

    Args:
        prices: US dollars for a million tokens, by model name, for `cost_usd`.
        metadata: The caller's own, put into the trajectory.
        redact: What takes secrets out; True knows those of the environment and the known shapes, False
            takes nothing out.
    """

    def __init__(
        self,
        *,
        prices: Prices | None = None,
        metadata: dict[str, Any] | None = None,
        redact: Redactor | bool = True,
    ) -> None:
        self.artifacts: dict[str, Any] = {}
        self._prices = prices
        self._redact = redact
        self._copy = Copier(redact)
        self._metadata = self._copy.mapping(metadata or {})
        self._told = Trajectory()
        self._steps: list[Step] = []
        self._calls: list[RecordedCall] = []
        self._decisions: list[Decision] = []
        self._children: list[Trajectory] = []
        self._system = "", ""
        self._prompt = ""
        self._sent = 0
        self._started_s = clock.perf()

    def run_started(self, task: object, *, run_id: str) -> None:
        """Keep the task and the id, and start the clock."""
        self._told = replace(self._told, task=self._copy.value(task), run_id=run_id)
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
                system_prompt=self._system_prompt(request),
                kept=kept,
                added=added,
                tools=self._tool_names(request.tools),
                max_tokens=request.max_tokens,
                temperature=request.temperature,
                reply=self._copy.blocks(reply.blocks) if reply else (),
                stop_reason=reply.stop_reason if reply else None,
                model=reply.model if reply else "",
                usage=reply.usage if reply else None,
                duration_ms=call.duration_ms,
                attempts=call.attempts,
                error=self._copy.reason(call.error) if call.error else None,
            )
        )

    def decided(self, decision: Decision) -> None:
        """Keep the decision."""
        self._decisions.append(self._copy.decision(decision))

    def step_taken(self, step: Step) -> None:
        """Keep a copy of the step."""
        self._steps.append(self._copy.step(step))

    @property
    def newest(self) -> Step:
        """The copy of the step that was taken last."""
        return self._steps[-1]

    def answered(self, output: dict[str, Any]) -> None:
        """Keep the final output."""
        self._told = replace(self._told, final_output=self._copy.mapping(output))

    def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
        """Keep why and when the run ended."""
        self._told = replace(
            self._told,
            stop_reason=stop_reason,
            error=self._copy.reason(error) if error else self._last_failure(stop_reason),
            duration_ms=(clock.perf() - self._started_s) * 1000,
        )

    def for_child(self) -> TrajectoryBuilder:
        """The recorder of a run that a tool of this run starts; its trajectory is added when it ends."""
        return _ChildBuilder(self, self._prices, self._redact)

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
            usage=sum((child.usage for child in self._children), total_usage(self._calls)),
            cost_usd=self._cost(),
            artifacts=self._copy.mapping(self.artifacts),
            metadata=self._metadata,
            children=tuple(self._children),
        )

    def _cost(self) -> float | None:
        if self._prices is None:
            return None
        costs = [cost_of(self._calls, self._prices), *[child.cost_usd for child in self._children]]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    def _last_failure(self, stop_reason: str) -> str | None:
        """The error of the model call that the run died of, if it did."""
        survived = not self._calls or stop_reason in ("done", "cancelled")
        return None if survived else self._calls[-1].error

    def _added(self, request: Request) -> tuple[int, tuple[ThreadMessage, ...]]:
        """How much of the request before stands, and the messages that are new."""
        if request.method != "chat":
            prompt = self._copy.text(request.prompt)
            message = added_prompt(prompt, self._prompt)
            self._prompt, self._sent = prompt, 1
            return 0, (message,)
        kept = min(request.kept, self._sent)
        self._sent, self._prompt = len(request.messages), ""
        return kept, tuple(self._copy.message(message) for message in request.messages[kept:])

    def _system_prompt(self, request: Request) -> str:
        """One copy for the many calls that send the same: it is long, and secrets are sought in it."""
        if request.system_prompt != self._system[0]:
            self._system = request.system_prompt, self._copy.text(request.system_prompt)
        return self._system[1]

    def _tool_names(self, schemas: Sequence[dict[str, Any]]) -> tuple[str, ...]:
        names = tuple(str(schema.get("name", "")) for schema in schemas)
        last = self._calls[-1].tools if self._calls else ()
        return last if names == last else names  # one tuple for the many calls that offer the same


class _ChildBuilder(TrajectoryBuilder):
    def __init__(self, parent: TrajectoryBuilder, prices: Prices | None, redact: Redactor | bool) -> None:
        super().__init__(prices=prices, redact=redact)
        self._parent = parent

    def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
        super().run_ended(stop_reason, error)
        self._parent.add_child(self.trajectory)
