"""The two drivers: they do what the engine asks for, one by blocking and one by awaiting.

Both run the same script. All that differs is how a need is met.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from looplet.engine.hooks import waited_for
from looplet.engine.needs import Ask, Compact, Leave, Need, Resolve, RunTool, RunTools, Save, Wait
from looplet.engine.script import script
from looplet.errors import ModelError
from looplet.running import home, inside
from looplet.types import CancelToken, ChatReply, ErrorKind, Step, ToolResult, Usage

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from concurrent.futures import Future

    from looplet.engine.run import Run

T = TypeVar("T")

SLICE_S = 0.1
"""Longest sleep between two looks at the cancel token, in seconds."""

INSTANT_S = 0.0001
"""Seconds. A model that answers sooner has not waited for anything, so that nobody else had a turn."""

_EXTRAS = ("cancel_token", "cache_breakpoints", "timeout_s", "on_chunk")
"""Keywords that a backend gets if its method names them."""

_NO_EXTRAS = (None,) * len(_EXTRAS)

_COROUTINE = 0x80  # inspect.CO_COROUTINE; inspect itself is slow to import


def drive(begin: Callable[[], Run]) -> Generator[Step, None, Any]:
    """Do a run here and now; yields its steps and returns its trace.

    Args:
        begin: Gives the run; called once, when the first step is asked for.
    """
    run = begin()
    run.at_once = _SYNC
    engine = script(run)
    answer: Any = None
    error: BaseException | None = None
    left = False
    while True:
        try:
            need = engine.send(answer) if error is None else engine.throw(error)
        except StopIteration as end:
            return end.value
        answer = error = None
        try:
            if type(need) is not Step:
                answer = _SYNC[type(need)](need)
            elif not left:
                yield need
        except GeneratorExit:
            # The consumer is gone: the script ends through its own door and nothing more is handed out.
            error, left = Leave(), True
        except BaseException as problem:
            error = problem


async def drive_async(run: Run) -> AsyncGenerator[Step, None]:
    """Do *run* on the running event loop; yields its steps."""
    if loop := _event_loop():
        loop.call_soon(_load_tool_calls)
    engine = script(run)
    answer: Any = None
    error: BaseException | None = None
    left = False
    while True:
        try:
            need = engine.send(answer) if error is None else engine.throw(error)
        except StopIteration:
            return
        answer = error = None
        try:
            if type(need) is not Step:
                answer = await _ASYNC[type(need)](need)
            elif not left:
                yield need
        except GeneratorExit:
            error, left = Leave(), True
        except BaseException as problem:
            error = problem


# ------------------------------------------------------------------ the model


def _ask(need: Ask) -> ChatReply | ModelError:
    method, first, options = _bind(need)
    try:
        if need.timeout_s is None:
            raw = method(first, **options)
        else:
            from looplet.workers import answer_within  # most runs need no thread

            raw = answer_within(need.timeout_s, partial(method, first, **options))
        return _as_reply(need, raw)
    except Exception as problem:
        return _failure(problem)
    except GeneratorExit as problem:
        raise Leave from problem  # inside the engine's own generator it would pass for the end of the driver


def _failure(problem: Exception) -> ModelError:
    from looplet.backends.failures import failure_of  # a run whose model answers does without

    return failure_of(problem)


def _start(work: Callable[[], T], name: str = "looplet-tool") -> Future[T]:
    from looplet.workers import start  # most runs need no thread

    return start(work, name)


async def _ask_async(need: Ask) -> ChatReply | ModelError:
    method, first, options = _bind(need)
    answer = _answer(method, partial(method, first, **options))
    asked = time.perf_counter()
    try:
        raw = await (answer if need.timeout_s is None else _within_async(need.timeout_s, answer))
        if time.perf_counter() - asked < INSTANT_S:
            await _turn()
        return _as_reply(need, raw)
    except Exception as problem:
        return _failure(problem)


async def _turn() -> None:
    """Let the event loop's other tasks run; with a model that never waits they would wait for the end."""
    if _event_loop():
        import asyncio

        await asyncio.sleep(0)


def _event_loop() -> AbstractEventLoop | None:
    """The running event loop; None where it is another library's, which does without our courtesies."""
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _load_tool_calls() -> None:
    """Import what the first tool call needs; called soon, which is while the model is thinking."""
    from importlib import import_module

    import_module("looplet.tools.waiting")


async def _within_async(seconds: float, answer: Awaitable[Any]) -> Any:
    import asyncio

    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await answer
    except TimeoutError:
        if limit.expired():
            raise TimeoutError(f"the model did not answer within {seconds:g} s") from None
        raise


async def _answer(method: Callable[..., Any], bound: Callable[[], Any]) -> Any:
    if _is_async(method):
        return await bound()
    import asyncio

    raw = await asyncio.wrap_future(_start(bound))
    return await raw if hasattr(raw, "__await__") else raw


def _bind(need: Ask) -> tuple[Callable[..., Any], Any, dict[str, Any]]:
    """The method to call, its first argument and its keywords."""
    name, messages, prompt, system_prompt, tools, max_tokens, temperature, _, marks, *_ = need.request
    method = getattr(need.llm, name)
    options: dict[str, Any] = {
        "max_tokens": max_tokens,
        "system_prompt": system_prompt,
        "temperature": temperature,
    }
    if name != "generate":
        options["tools"] = list(tools)
    extras = (need.cancel_token, marks, need.timeout_s, need.on_chunk)
    if extras != _NO_EXTRAS:
        for extra, value in zip(_EXTRAS, extras, strict=True):
            if value is not None and _names(method, extra):
                options[extra] = value
    return method, messages if name == "chat" else prompt, options


def _names(method: Callable[..., Any], parameter: str) -> bool:
    """Whether the signature of *method* names *parameter*; `**kwargs` is no promise to understand it."""
    import inspect

    try:
        return parameter in inspect.signature(method).parameters
    except (TypeError, ValueError):
        return False


def _is_async(method: Callable[..., Any]) -> bool:
    code = getattr(getattr(method, "__func__", method), "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)


def _as_reply(need: Ask, raw: Any) -> ChatReply | ModelError:
    if isinstance(raw, ChatReply):
        return raw
    llm, attempts = need.llm, 1
    stop_reason, usage = getattr(llm, "last_stop_reason", None), getattr(llm, "last_usage", None)
    if stop_reason is not None or usage is not None:  # it tells something of its replies
        stop_reason = stop_reason if isinstance(stop_reason, str) else None
        usage = usage if isinstance(usage, Usage) else None
        if stop_reason is not None or usage is not None:
            attempts = getattr(llm, "last_attempts", 1)
    if isinstance(raw, str):
        return ChatReply([{"type": "text", "text": raw}], stop_reason, "", usage, attempts)
    if isinstance(raw, list):
        blocks = [block for block in raw if isinstance(block, dict) and "type" in block]
        return ChatReply(blocks, stop_reason, "", usage, attempts)
    name = f"{type(need.llm).__name__}.{need.request.method}"
    if hasattr(raw, "close") and hasattr(raw, "__await__"):
        raw.close()
        text = f"{name} is async; use async_composable_loop, or a backend whose methods are not async"
    else:
        text = f"{name} returned {type(raw).__name__}; the loop takes a str, a list of blocks or a ChatReply"
    return ModelError(text, kind=ErrorKind.VALIDATION)


# ------------------------------------------------------------------ the tools and the rest


def _run_tool(need: RunTool) -> ToolResult:
    around, run, call = inside.get(), need.run, need.call
    inside.set((run, call))
    try:
        result: ToolResult = run.plan.tools.dispatch(call, ctx=need.context)
        return result
    except GeneratorExit as problem:
        raise Leave from problem  # as above
    finally:
        # Not by token: an async consumer may leave in another context than it came in.
        inside.set(around)


async def _run_tool_async(need: RunTool) -> ToolResult:
    around, tools = inside.get(), need.run.plan.tools
    inside.set((need.run, need.call))
    try:
        if hasattr(tools, "dispatch_async"):
            result: ToolResult = await tools.dispatch_async(need.call, ctx=need.context)
            return result
        return await _on_thread(partial(_run_tool, need))
    finally:
        inside.set(around)


def _run_tools(need: RunTools) -> list[ToolResult]:
    around, tools = inside.get(), need.run.plan.tools
    inside.set((need.run, around[1]))
    try:
        return list(tools.dispatch_batch(list(need.calls), ctx=_contexts_by_call(need)))
    finally:
        inside.set(around)


async def _run_tools_async(need: RunTools) -> list[ToolResult]:
    around, tools = inside.get(), need.run.plan.tools
    inside.set((need.run, around[1]))
    try:
        if hasattr(tools, "dispatch_batch_async"):
            return list(await tools.dispatch_batch_async(list(need.calls), ctx=_contexts_by_call(need)))
        return await _on_thread(partial(_run_tools, need))
    finally:
        inside.set(around)


async def _on_thread(work: Callable[[], T]) -> T:
    import asyncio

    return await asyncio.wrap_future(_start(work))


def _contexts_by_call(need: RunTools) -> Any:
    """One context for each call where the registry can take them apart, else the first for all."""
    if hasattr(need.run.plan.tools, "dispatch_async"):
        by_id = {id(call): ctx for call, ctx in zip(need.calls, need.contexts, strict=True)}
        return lambda call: by_id[id(call)]
    return need.contexts[0]


def _work(need: Compact | Save) -> Any:
    return need.work()


async def _work_async(need: Compact | Save) -> Any:
    import asyncio

    future = asyncio.wrap_future(_start(need.work))
    cancelled: BaseException | None = None
    while not future.done():
        # Work that is half done would go on behind the back of whatever comes next: it is waited for.
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as problem:
            cancelled = problem
    failed = future.exception()
    if cancelled is not None:
        raise cancelled
    if failed is not None:
        raise failed
    result: Any = future.result()
    return await result if hasattr(result, "__await__") else result


async def _compact_async(need: Compact) -> Any:
    home.set(_event_loop())  # for a backend that has to be awaited, and whose connections belong to this loop
    try:
        return await _work_async(need)
    finally:
        home.set(None)


def _wait(need: Wait) -> None:
    for seconds in _slices(need.seconds, need.cancel_token):
        time.sleep(seconds)
        if need.cancel_token is not None and need.cancel_token.is_cancelled:
            return


async def _wait_async(need: Wait) -> None:
    import asyncio

    for seconds in _slices(need.seconds, need.cancel_token):
        await asyncio.sleep(seconds)
        if need.cancel_token is not None and need.cancel_token.is_cancelled:
            return


def _slices(seconds: float, token: CancelToken | None) -> list[float]:
    if token is None:
        return [seconds]
    whole = int(seconds / SLICE_S)
    return [SLICE_S] * whole + [seconds - whole * SLICE_S]


def _resolve(need: Resolve) -> Any:
    """Wait for an async hook in the sync loop."""
    return waited_for(need.awaitable)


async def _resolve_async(need: Resolve) -> Any:
    return await need.awaitable


_SYNC: dict[type[Need], Callable[[Any], Any]] = {
    Ask: _ask,
    Wait: _wait,
    RunTool: _run_tool,
    RunTools: _run_tools,
    Compact: _work,
    Save: _work,
    Resolve: _resolve,
}
_ASYNC: dict[type[Need], Callable[[Any], Any]] = {
    Ask: _ask_async,
    Wait: _wait_async,
    RunTool: _run_tool_async,
    RunTools: _run_tools_async,
    Compact: _compact_async,
    Save: _work_async,
    Resolve: _resolve_async,
}
