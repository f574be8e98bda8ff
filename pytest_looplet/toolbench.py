"""`looplet_tools`: a registry that remembers every call, and whose tools misbehave on demand."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import pytest

from looplet.engine.observe import Decision, RunObserver
from looplet.errors import ConfigError
from looplet.skills import Skill
from looplet.tools import BaseToolRegistry, ToolSpec, tool, tools_from
from looplet.tools.dispatch import Ready
from looplet.types import ToolCall, ToolContext, ToolResult
from pytest_looplet.faults import At, Fault, as_text, broken, garbled, with_injection
from pytest_looplet.ledger import after_the_body, record
from pytest_looplet.tapes import expect_drift

BY = "looplet_tools"
"""Who decided, in the decisions of a trajectory that tell of faults."""


@dataclass(frozen=True, slots=True)
class Struck:
    """A call that a fault hit.

    Attributes:
        fault: The fault.
        call: The call.
        number: Which call of its tool it was, from 1.
    """

    fault: Fault
    call: ToolCall
    number: int

    def __str__(self) -> str:
        return f"{self.fault.reason} at call {self.number} of {self.call.tool}"


@dataclass
class Plan:
    """The faults of a test, and what came of them; shared by all registries of its runs.

    Attributes:
        faults: What was asked for, in order.
        calls: Every call whose arguments were good enough to run, in order.
        injected: The calls that were hit.
        listeners: Told of each hit when it happens.
    """

    faults: list[Fault] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    injected: list[Struck] = field(default_factory=list)
    listeners: list[Callable[[Struck], None]] = field(default_factory=list)
    _numbers: Counter[str] = field(default_factory=Counter)
    _lock: Any = field(default_factory=threading.Lock)

    def strike(self, call: ToolCall) -> list[Fault]:
        """Note *call*; the faults that hit it."""
        with self._lock:
            self.calls.append(call)
            self._numbers[call.tool] += 1
            number, total = self._numbers[call.tool], len(self.calls)
            hit = [fault for fault in self.faults if fault.strikes(call.tool, number, total)]
            news = [Struck(fault, call, number) for fault in hit]
            self.injected += news
        for one in news:
            for listener in tuple(self.listeners):
                listener(one)
        return hit

    def check(self) -> None:
        """Fail a test one of whose faults was to hit a certain call and never did: it proved nothing."""
        struck = {id(one.fault) for one in self.injected}
        for fault in self.faults:
            if fault.at is not None and fault.kind != "flaky" and id(fault) not in struck:
                pytest.fail(self._never(fault), pytrace=False)

    def _never(self, fault: Fault) -> str:
        count = len(self.calls) if fault.tool is None else self._numbers[fault.tool]
        name = fault.tool or "any tool"
        near = get_close_matches(name, self._numbers, n=1) if count == 0 else []
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return (
            f"looplet_tools: {fault.kind}({name!r}, at={fault.at!r}) never happened: "
            f"there were {count} calls of {name}{hint}"
        )


class ToolBench(BaseToolRegistry):
    """What the fixture `looplet_tools` gives: a registry with `done`, whose tools can be told to misbehave.

    Faults count calls from 1, tool by tool: `at=2` is the second call, `at=[1, 3]` two of them, None every
    one. They are told in `Trajectory.decisions` with the verdict `inject`, by `looplet_tools`.

    Args:
        plan: Faults and memory; a fresh one by default.
        with_done: Have `done(answer: str)` as the last tool, until one of that name is registered.
    """

    def __init__(self, plan: Plan | None = None, *, with_done: bool = True) -> None:
        super().__init__()
        self._plan = plan or Plan()
        self._stand_in = tools_from((), include_done=with_done)._tools.get("done")
        self._keep_done_last()

    def register(self, spec: Any, *more: Any, replace: bool = False) -> None:
        """Add tools: functions, `ToolSpec`s, skills, and adapters with `register_all(registry)`.

        A tool called `done` takes the place of the one that is there from the start.

        Raises:
            ConfigError: A name is taken, or something is no tool.
        """
        for item in (spec, *more):
            if isinstance(item, Skill):
                item.register(self, replace=replace)
            elif not isinstance(item, ToolSpec) and hasattr(item, "register_all"):
                item.register_all(self)
            else:
                made = item if isinstance(item, ToolSpec) else tool(item)
                if made.name == "done" and self._stand_in is not None:
                    del self._tools["done"]
                    self._stand_in = None
                super().register(made, replace=replace)
        self._keep_done_last()

    def _keep_done_last(self) -> None:
        # Where `looplet_run` puts it: asking for the fixture must not change what the model is sent.
        if self._stand_in is not None:
            self._tools.pop("done", None)
            self._tools["done"] = self._stand_in

    def around(self, tools: BaseToolRegistry | Iterable[Any], *, done_tool: str = "done") -> ToolBench:
        """A registry of *tools*, then of those registered here, under the same faults.

        Args:
            tools: They get `done(answer: str)` if they have none, unless the done tool has another name.
            done_tool: Name of the tool that ends a run.
        """
        bench = ToolBench(self._plan, with_done=done_tool == "done")
        for item in tools._tools.values() if isinstance(tools, BaseToolRegistry) else tools:
            bench.register(item)
        for name, spec in self._tools.items():
            if spec is not self._stand_in and name not in bench._tools:
                bench.register(spec)
        return bench

    @property
    def calls(self) -> list[ToolCall]:
        """Every call so far, in order; those refused before they ran are not among them."""
        return list(self._plan.calls)

    def args_of(self, name: str) -> list[dict[str, Any]]:
        """The arguments of each call of one tool."""
        return [call.args for call in self._plan.calls if call.tool == name]

    @property
    def injected(self) -> list[Struck]:
        """The calls that a fault hit, in order."""
        return list(self._plan.injected)

    def fail(
        self, name: str, error: BaseException | type[BaseException] = RuntimeError, *, at: At = None
    ) -> ToolBench:
        """Raise *error* and do not run the tool: `.fail("search", TimeoutError, at=2)`."""
        if isinstance(error, type) and issubclass(error, BaseException):
            error = error(f"{name} was told to fail")
        if not isinstance(error, BaseException):
            raise ConfigError(f"looplet_tools.fail({name!r}, {error!r}): give an exception or its class")
        return self._add("fail", name, at, f"fail: {type(error).__name__}: {error}", error=error)

    def slow(self, name: str, seconds: float, *, at: At = None) -> ToolBench:
        """Wait *seconds* before the tool runs; its time limit counts them."""
        return self._add("slow", name, at, f"slow: {seconds:g} s", seconds=seconds)

    def corrupt(
        self, name: str, by: Callable[[Any], Any] | None = None, *, at: At = None, seed: int = 0
    ) -> ToolBench:
        """Garble the result: text with characters lost, the same for one *seed*, or what *by* makes of it."""
        how = by or (lambda value: garbled(value, seed))
        return self._add("corrupt", name, at, "corrupt", change=how)

    def truncate(self, name: str, chars: int = 20, *, at: At = None) -> ToolBench:
        """Cut the result's text (its JSON, if it is no text) after *chars* characters."""
        return self._add(
            "truncate", name, at, f"truncate: {chars} characters", change=lambda value: as_text(value)[:chars]
        )

    def replace(self, name: str, result: Any, *, at: At = None) -> ToolBench:
        """Give *result* and do not run the tool."""
        return self._add("replace", name, at, "replace", instead=(result,))

    def inject(self, text: str, name: str | None = None, *, at: At = None) -> ToolBench:
        """Put *text* into a result: what a poisoned page would tell the model.

        Args:
            text: The words of the attacker.
            name: The tool; None for whichever tool is called.
            at: Which calls; None for every one.
        """
        return self._add("inject", name, at, f"inject: {text}", change=lambda v: with_injection(v, text))

    def flaky(
        self,
        name: str,
        probability: float,
        seed: int = 0,
        *,
        error: BaseException | type[BaseException] = ConnectionError,
    ) -> ToolBench:
        """Fail each call with *probability*; the same seed fails the same calls.

        Raises:
            ConfigError: *probability* is not from 0 to 1.
        """
        if not 0 <= probability <= 1:
            raise ConfigError(f"looplet_tools.flaky({name!r}, {probability!r}): give a number from 0 to 1")
        problem = error(f"{name} is flaky") if isinstance(error, type) else error
        reason = f"flaky: {type(problem).__name__}"
        return self._add("flaky", name, None, reason, error=problem, chance=probability, seed=seed)

    def _add(self, kind: str, name: str | None, at: At, reason: str, **how: Any) -> ToolBench:
        numbers = () if at is None else (at,) if isinstance(at, int) else tuple(at)
        if (at is not None and not numbers) or any(type(n) is not int or n < 1 for n in numbers):
            raise ConfigError(f"looplet_tools.{kind}(at={at!r}): give numbers of calls, from 1")
        self._plan.faults.append(Fault(kind, name, at, reason, **how))
        return self

    def _ready(self, call: ToolCall, ctx: ToolContext | None) -> Ready | ToolResult:
        ready = super()._ready(call, ctx)
        if isinstance(ready, ToolResult):
            return ready
        faults = self._plan.strike(call)
        if faults:
            ready.spec = _misbehaving(ready.spec, faults)
        return ready

    def watch(self, tell: Callable[[Decision], None]) -> RunObserver:
        """An observer of one run that tells its faults as decisions."""
        return _Watch(self._plan, tell)


class _Watch(RunObserver):
    def __init__(self, plan: Plan, tell: Callable[[Decision], None]) -> None:
        self._plan = plan
        self._tell = tell
        self._steps: dict[str, int] = {}

    def run_started(self, task: object, *, run_id: str) -> None:
        self._plan.listeners.append(self._heard)

    def tool_started(self, step: int, call: ToolCall) -> None:
        self._steps[call.call_id] = step

    def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
        self._plan.listeners.remove(self._heard)

    def _heard(self, struck: Struck) -> None:
        step = self._steps.get(struck.call.call_id)
        if step is not None:
            details: Mapping[str, Any] = {"fault": struck.fault.kind, "call": struck.number}
            self._tell(
                Decision(
                    step,
                    struck.call.tool,
                    struck.call.call_id,
                    "inject",
                    BY,
                    struck.fault.reason,
                    dict(details),
                )
            )


def _misbehaving(spec: ToolSpec, faults: Sequence[Fault]) -> ToolSpec:
    return ToolSpec(
        name=spec.name,
        description=spec.description,
        parameters=spec.parameters,
        execute=broken(spec.execute, faults, is_async=spec.is_async),
        timeout_s=spec.timeout_s,
    )


def make(request: pytest.FixtureRequest) -> ToolBench:
    """What the fixture gives; a replay expects the drift that its faults cause."""
    record(request.config)
    plan = Plan()
    node = request.node
    plan.listeners.append(
        lambda struck: (
            expect_drift(node, f"looplet_tools: {struck}") if struck.fault.changes_results else None
        )
    )
    after_the_body(node, plan.check)
    return ToolBench(plan)
