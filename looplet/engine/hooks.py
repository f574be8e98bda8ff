"""Asking hooks: each function puts one question to the hooks that answer it and merges what they say."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Sequence
from typing import Any

from looplet.engine.needs import Leave, Need, Resolve
from looplet.engine.run import Run
from looplet.engine.slots import Filled
from looplet.events import EventPayload, LifecycleEvent
from looplet.hook_decision import Deny, HookDecision, decision_of
from looplet.running import home
from looplet.tools.failure import describe

Script = Generator[Need, Any, Any]

_ALSO_HAS_METHOD = {
    LifecycleEvent.PRE_TOOL_USE: "pre_dispatch",
    LifecycleEvent.POST_TOOL_USE: "post_dispatch",
    LifecycleEvent.POST_TOOL_FAILURE: "post_dispatch",
}
"""A hook that has the method is not also told the event: it would decide twice."""


def listens(hook: object, event: LifecycleEvent) -> bool:
    """Whether *hook* is told *event*, given that it has `on_event`."""
    method = _ALSO_HAS_METHOD.get(event)
    return method is None or not hasattr(hook, method)


def call(filled: Filled, *args: Any, **kwargs: Any) -> Script:
    """Call one hook method; an awaitable that it returns is waited for."""
    try:
        value = filled.call(*args, **kwargs)
    except GeneratorExit as problem:
        raise Leave from problem  # here it would pass for the end of the driver
    if hasattr(value, "__await__"):
        value = yield Resolve(value)
    return value


def decide(run: Run, filled: Filled, value: object, slot: str) -> HookDecision | None:
    """What *value* means in *slot*; warns once a run about what the slot ignores."""
    return decision_of(value, slot=slot, hook=filled.hook, warned=run.warned)


def emit(run: Run, event: LifecycleEvent, **fields: Any) -> Script:
    """Tell all listening hooks of *event*; gives `[(hook, decision), …]` of those that decided something.

    An exception of a listener is logged and goes no further, except before a tool: there the call is
    denied, because the hook may be the one that would have forbidden it.
    """
    listeners = run.plan.slots.on_event
    if not listeners:
        return ()
    payload = EventPayload(
        event=event, state=run.state, session_log=run.session_log, context=run.plan.context, **fields
    )
    decided: list[tuple[Filled, HookDecision]] = []
    for filled in listeners:
        if not listens(filled.hook, event):
            continue
        try:
            value = yield from call(filled, payload)
        except Exception as problem:
            decision = _when_listener_raised(filled, event, problem)
        else:
            # Before a tool a verdict that is no decision is an error; elsewhere it says nothing.
            heeded = isinstance(value, HookDecision) or event is LifecycleEvent.PRE_TOOL_USE
            decision = decide(run, filled, value, event.value) if heeded else None
        if decision is not None:
            decided.append((filled, decision))
    return decided


def _when_listener_raised(filled: Filled, event: LifecycleEvent, problem: Exception) -> HookDecision | None:
    log_listener(filled.hook, event)
    if event is not LifecycleEvent.PRE_TOOL_USE:
        return None
    return Deny(f"{filled.name}.on_event raised {describe(problem)}")


def emit_event(hooks: Sequence[Any], event: LifecycleEvent, **payload_kwargs: Any) -> list[HookDecision]:
    """Tell *event* to every hook that has `on_event`; gives the decisions they returned.

    An async `on_event` is waited for, on an event loop of its own.

    Args:
        hooks: The hooks. One that has `pre_dispatch` is not told PRE_TOOL_USE, and one that has
            `post_dispatch` is not told POST_TOOL_USE and POST_TOOL_FAILURE: it would decide twice.
        event: The event.
        payload_kwargs: Fields of the `EventPayload`.
    """
    payload = EventPayload(event=event, **payload_kwargs)
    decisions: list[HookDecision] = []
    for hook in _listeners(hooks, event):
        try:
            value = hook.on_event(payload)
            if hasattr(value, "__await__"):
                value = waited_for(value)
        except Exception:
            log_listener(hook, event)
        else:
            decisions += _decided(value)
    return decisions


async def async_emit_event(
    hooks: Sequence[Any], event: LifecycleEvent, **payload_kwargs: Any
) -> list[HookDecision]:
    """`emit_event` on an event loop: an async `on_event` is awaited there."""
    payload = EventPayload(event=event, **payload_kwargs)
    decisions: list[HookDecision] = []
    for hook in _listeners(hooks, event):
        try:
            value = hook.on_event(payload)
            if hasattr(value, "__await__"):
                value = await value
        except Exception:
            log_listener(hook, event)
        else:
            decisions += _decided(value)
    return decisions


def _listeners(hooks: Sequence[Any], event: LifecycleEvent) -> list[Any]:
    return [hook for hook in hooks if hasattr(hook, "on_event") and listens(hook, event)]


def _decided(value: object) -> list[HookDecision]:
    return [value] if isinstance(value, HookDecision) else []


def waited_for(awaitable: Awaitable[Any]) -> Any:
    """What *awaitable* gives, for a caller that is not async: on its run's event loop, or else an own one."""
    import asyncio

    from looplet.workers import start

    async def wait() -> Any:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        around = home.get()
        if around is not None:
            return asyncio.run_coroutine_threadsafe(wait(), around).result()
        return asyncio.run(wait())
    return start(lambda: asyncio.run(wait())).result()


def log_listener(hook: object, event: LifecycleEvent) -> None:
    """Log the exception that is being handled, raised by a hook that was only listening."""
    import logging

    logger = logging.getLogger("looplet.loop")
    logger.warning("%s.on_event raised at %s", type(hook).__name__, event.value, exc_info=True)


def first_text(run: Run, fills: Sequence[Filled], *args: Any, **kwargs: Any) -> Script:
    """The first answer that is not None, of hooks asked in order."""
    for filled in fills:
        value = yield from call(filled, *args, **kwargs)
        if value is not None:
            if not isinstance(value, str):
                raise TypeError(
                    f"{filled.name} returned {type(value).__name__} where the loop takes a str or None"
                )
            return value
    return None


def take_notes(run: Run, decided: Sequence[tuple[Filled, HookDecision]]) -> None:
    """Keep what hooks want in the next prompt, and the stop that they asked for."""
    for _, decision in decided:
        if decision.additional_context:
            run.notes.append(decision.additional_context)
        if decision.stop is not None:
            run.stop_request = decision.stop or "hook_stop"
