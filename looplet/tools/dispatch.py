"""A call, from the model's wish to a result: all that happens before and after the tool's body.

Nothing here waits or starts a thread, so both loops use it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from looplet.clock import perf
from looplet.running import inside
from looplet.tools.cut import RESULT_CHARS, cut, size_within
from looplet.tools.failure import describe, refused, tool_error
from looplet.tools.spec import Door, ToolSpec
from looplet.types import ErrorKind, ToolCall, ToolContext, ToolError, ToolResult
from looplet.values import bounded, normal, plain_copy

SUMMARY_CHARS = 50
"""Characters of one argument's value in a summary."""

SUMMARY_TOTAL = 2_000
"""Characters of a summary."""

RAW_ARGUMENTS = "_raw_arguments"
"""The one argument of a call whose arguments a backend could not read; holds what the model wrote."""

TOO_DEEP = "the arguments are nested too deeply; the tool was not run"

Outcome = tuple[Any, BaseException | None]
"""What a tool's body came to: its value, or the exception it raised."""

_SCALARS = frozenset({str, int, float, bool, type(None)})
DATA = _SCALARS | {dict, list, tuple}
"""Types of values that are a result as they stand."""

_LAZY = (type(_ for _ in ()), map, filter, zip)


class Owner(Protocol):
    """What is asked of the registry that a call is made through."""

    _tools: dict[str, ToolSpec]

    def _summarize_args(self, call: ToolCall) -> str: ...

    def _store_result(self, call: ToolCall, data: Any) -> str | None: ...

    def _refuse(self, call: ToolCall) -> ToolResult | None: ...


class Ready:
    """A call that was checked and may run."""

    __slots__ = ("call", "ctx", "kwargs", "spec", "started")

    def __init__(
        self, spec: ToolSpec, call: ToolCall, kwargs: dict[str, Any], ctx: ToolContext | None, started: float
    ) -> None:
        self.spec = spec
        self.call = call
        self.kwargs = kwargs
        self.ctx = ctx
        self.started = started


def prepare(owner: Owner, call: ToolCall, ctx: ToolContext | None) -> Ready | ToolResult:
    """Check a call. What must not run comes back as its error result at once."""
    spec = owner._tools.get(call.tool)
    if spec is None:
        name = bounded(str(call.tool), 100)
        return refused(call, ErrorKind.VALIDATION, f"Unknown tool: {name}. Available: {list(owner._tools)}")
    if ctx is not None and ctx.cancel_token is not None and ctx.cancel_token.is_cancelled:
        return refused(call, ErrorKind.CANCELLED, "Tool execution cancelled before dispatch")
    if not isinstance(call.args, dict):
        return refused(call, ErrorKind.VALIDATION, f"{spec.name}: the arguments are no JSON object")
    refusal = owner._refuse(call)
    if refusal is not None:
        return refusal
    door = spec.door()
    kwargs = door.fitting(call.args)
    if kwargs is None:
        checked = _checked(owner, call, door)
        if isinstance(checked, ToolResult):
            return checked
        kwargs = checked
    if door.takes.ctx:
        kwargs["ctx"] = ctx
    return Ready(spec, call, kwargs, ctx, perf())


def _checked(owner: Owner, call: ToolCall, door: Door) -> dict[str, Any] | ToolResult:
    try:
        kwargs = _own_args(call.args)
    except RecursionError:
        return refused(call, ErrorKind.PARSE, f"{call.tool}: {TOO_DEEP}", args_summary="")
    if door.takes.ctx:
        kwargs.pop("ctx", None)
    if RAW_ARGUMENTS in kwargs and RAW_ARGUMENTS not in door.names:
        raw = bounded(str(kwargs[RAW_ARGUMENTS]), 300)
        message = f"The arguments of {call.tool} are not a valid JSON object: {raw}"
        return refused(call, ErrorKind.PARSE, message)
    wrong = door.check(kwargs)
    return _invalid(owner, call, wrong) if wrong else kwargs


def _own_args(args: dict[str, Any]) -> dict[str, Any]:
    # The tool gets a copy, so that what it does to its arguments is not done to the record of the call.
    own: dict[str, Any] = {}
    for name, value in args.items():
        if name[:2] != "__":
            own[name] = value if type(value) in _SCALARS else plain_copy(value)
    return own


def _invalid(owner: Owner, call: ToolCall, wrong: list[str]) -> ToolResult:
    message = f"Invalid arguments for {call.tool}: {'; '.join(wrong)}"
    return refused(
        call,
        ErrorKind.VALIDATION,
        message,
        args_summary=owner._summarize_args(call),
        context={"violations": wrong[:100]},
    )


def run_body(ready: Ready) -> Outcome:
    """Run the tool. An awaitable or an async generator comes back as it is, for the caller to wait for.

    `Exception`, `SystemExit` and `GeneratorExit` are the tool's failure; any other `BaseException`
    (`KeyboardInterrupt`, a failing test) is raised.
    """
    run, running = inside.get()
    if running is not ready.call:
        inside.set((run, ready.call))  # the drivers put back what was there
    try:
        data = ready.spec.execute(**ready.kwargs)
        if type(data) not in DATA and isinstance(data, _LAZY):
            data = _collected(data)
        return data, None
    except (Exception, SystemExit, GeneratorExit) as error:
        return None, error


def _collected(items: Any) -> list[Any]:
    found = Collected()
    for item in items:
        if not found.take(item):
            break
    return found.items


class Collected:
    """The items of a generator, as many as a result may hold."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._room = RESULT_CHARS - 100  # the mark needs room too

    def take(self, item: Any) -> bool:
        """Add *item*; False once there is room for no more, with a mark as the last item."""
        self._room -= size_within(item, RESULT_CHARS) + 2
        if self._room < 0:
            self.items.append("... [more items left out] ...")
            return False
        self.items.append(item)
        return True


def is_awaited(data: object) -> bool:
    """Whether a tool's value has to be awaited, or iterated with `async for`."""
    kind = type(data)
    return kind not in DATA and (hasattr(kind, "__await__") or hasattr(kind, "__aiter__"))


def finish(owner: Owner, ready: Ready, outcome: Outcome) -> ToolResult:
    """The result of a call that ran."""
    data, error = outcome
    call = ready.call
    duration_ms = (perf() - ready.started) * 1000
    summary = owner._summarize_args(call)
    if error is not None:
        detail = _detail(ready, error)
        return ToolResult(call.tool, summary, None, detail.message, detail, duration_ms, None, call.call_id)
    try:
        data = cut(data)
    except Exception:  # of a class of the user's own, that does not let itself be read
        data = cut(normal(data))
    key = owner._store_result(call, data)
    return ToolResult(call.tool, summary, data, None, None, duration_ms, key, call.call_id)


def _detail(ready: Ready, error: BaseException) -> ToolError:
    token = ready.ctx.cancel_token if ready.ctx is not None else None
    if token is not None and token.is_cancelled and type(error) is RuntimeError:
        return ToolError(ErrorKind.CANCELLED, describe(error))
    return tool_error(error)


def timed_out(owner: Owner, ready: Ready) -> ToolResult:
    """The result of a call that gave no answer within its `timeout_s`."""
    message = (
        f"TimeoutError: {ready.spec.name} gave no result within {ready.spec.timeout_s:g} s; "
        "the call may still be running"
    )
    result = refused(
        ready.call,
        ErrorKind.TIMEOUT,
        message,
        args_summary=owner._summarize_args(ready.call),
        retriable=True,
    )
    result.duration_ms = (perf() - ready.started) * 1000
    return result


def summarize(args: Mapping[str, Any]) -> str:
    """`a=1, b=text`, each value cut to 50 characters, the whole to 2,000."""
    summary = ", ".join([f"{name}={value!s}" for name, value in args.items()])
    if len(summary) <= SUMMARY_CHARS:
        return summary
    texts = [(name, str(value)) for name, value in args.items()]
    summary = ", ".join(
        [
            f"{name}={text if len(text) <= SUMMARY_CHARS else f'{text[:SUMMARY_CHARS]}...'}"
            for name, text in texts
        ]
    )
    return summary if len(summary) <= SUMMARY_TOTAL else bounded(summary, SUMMARY_TOTAL)
