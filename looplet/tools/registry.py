"""The tools of a run, by name, and the one way to call them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from itertools import groupby
from typing import Any, Self

from looplet.errors import ConfigError
from looplet.tools.dispatch import DATA, Ready, finish, is_awaited, prepare, run_body, summarize, timed_out
from looplet.tools.spec import ToolSpec
from looplet.types import ToolCall, ToolContext, ToolResult

ContextFor = ToolContext | Callable[[ToolCall], ToolContext | None] | None
"""One context for all calls of a batch, or a function that makes each call its own."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class BaseToolRegistry:
    """Tools by name. Subclasses may override `_summarize_args`, `_store_result`, `_refuse` and `_ready`."""

    def __init__(self) -> None:
        self._tools: dict[str, ToolSpec] = {}
        self._in_catalog: list[ToolSpec] = []
        self._catalog_of = self._schemas_of = 0
        self._catalog = "Available tools:"
        self._in_schemas: list[ToolSpec] = []
        self._schemas: list[dict[str, Any]] = []

    def copy(self) -> Self:
        """A registry of the same class with the same tools; a tool added to one is not in the other.

        What a subclass keeps beside the tools is shared by both.
        """
        twin = copy(self)
        twin._tools = dict(self._tools)
        twin._in_catalog, twin._in_schemas = [], []
        return twin

    def remove(self, name: str) -> None:
        """Take a tool away; there need be none of that name."""
        self._tools.pop(name, None)

    def register(self, spec: ToolSpec, *, replace: bool = False) -> None:
        """Add a tool.

        Args:
            replace: Take the place of a tool with the same name.

        Raises:
            ConfigError: The name is taken (also if it differs in case only), or a field of the spec cannot be
                what it is.
        """
        _check_spec(spec)
        taken = next((name for name in self._tools if name.lower() == spec.name.lower()), None)
        if taken is not None and not replace:
            raise ConfigError(
                f"tool {spec.name!r}: a tool named {taken!r} exists; "
                "rename it or call register(..., replace=True)"
            )
        if taken is not None and taken != spec.name:
            del self._tools[taken]
        self._tools[spec.name] = spec

    def _register(self, spec: ToolSpec) -> None:
        """Add a tool or replace the one of that name: the older spelling of `register`."""
        BaseToolRegistry.register(self, spec, replace=True)  # a subclass's own may take no more than a tool

    @property
    def tool_names(self) -> list[str]:
        """The names, in the order of registration."""
        return list(self._tools)

    def tool_catalog_text(self) -> str:
        """All tools for a text prompt, two lines each under a headline."""
        specs = list(self._tools.values())
        if self._in_catalog != specs or self._catalog_of != ToolSpec.changes:
            self._catalog = "\n".join(["Available tools:", *[spec.spec_text() for spec in specs]])
            self._in_catalog, self._catalog_of = specs, ToolSpec.changes
        return self._catalog

    def tool_schemas(self) -> list[dict[str, Any]]:
        """All tools as backends take them: `{"name", "description", "input_schema"}`."""
        specs = list(self._tools.values())
        if self._in_schemas != specs or self._schemas_of != ToolSpec.changes:
            self._schemas = [spec.to_api_schema() for spec in specs]
            self._in_schemas, self._schemas_of = specs, ToolSpec.changes
        return list(self._schemas)

    def introspect(self) -> dict[str, Any]:
        """All tools as data, their parameters as JSON Schema."""
        tools = [
            {
                "name": spec.name,
                "description": spec.description,
                "parameters": spec.to_json_schema(),
                "concurrent_safe": spec.concurrent_safe,
                "free": spec.free,
            }
            for spec in self._tools.values()
        ]
        return {"tool_count": len(tools), "tools": tools}

    def _summarize_args(self, call: ToolCall) -> str:
        """The arguments in one line, for results and reports."""
        return summarize(call.args)

    def _store_result(self, call: ToolCall, data: Any) -> str | None:
        """Keep the whole result somewhere and give its key, which becomes `result_key`."""
        return None

    def _refuse(self, call: ToolCall) -> ToolResult | None:
        """The error result of a call that must not run, or None; asked before the arguments are checked."""
        return None

    def _ready(self, call: ToolCall, ctx: ToolContext | None) -> Ready | ToolResult:
        """A call that may run, or the result it is refused with; asked once for each call."""
        return prepare(self, call, ctx)

    def refusal(self, call: ToolCall) -> ToolResult | None:
        """The error result that *call* would get without its tool being run, or None where it would run.

        For whoever decides on a call before it is dispatched: a rule should see only what can run.
        """
        checked = prepare(self, call, None)
        return checked if isinstance(checked, ToolResult) else None

    def dispatch(self, call: ToolCall, *, ctx: ToolContext | None = None) -> ToolResult:
        """Run one call and wait for it. Whatever goes wrong with the tool is in the result.

        Raises:
            BaseException: `KeyboardInterrupt` and its like, when the tool raises one.
        """
        ready = self._ready(call, ctx)
        if isinstance(ready, ToolResult):
            return ready
        if ready.spec.timeout_s is not None:
            from looplet.tools.waiting import run_with_limit  # asyncio is slow to import

            limited = run_with_limit(ready)
            return timed_out(self, ready) if limited is None else finish(self, ready, limited)
        outcome = run_body(ready)
        if type(outcome[0]) not in DATA and is_awaited(outcome[0]):
            from looplet.tools.waiting import settled

            outcome = settled(outcome)
        return finish(self, ready, outcome)

    def dispatch_batch(self, calls: Sequence[ToolCall], *, ctx: ContextFor = None) -> list[ToolResult]:
        """Run calls; results in the order of the calls.

        Neighbours that are `concurrent_safe` run at the same time, on at most ten threads; every other call
        runs alone. Calls that have not begun when the run is cancelled do not begin.
        """
        results: list[ToolResult] = []
        for group in self._groups(calls):
            if len(group) == 1:
                results.append(self.dispatch(group[0], ctx=_context(ctx, group[0])))
            else:
                from looplet.tools.waiting import at_once

                results += at_once([self._job(call, ctx) for call in group])
        return results

    async def dispatch_async(self, call: ToolCall, *, ctx: ToolContext | None = None) -> ToolResult:
        """`dispatch` for a running event loop: sync tools run on a thread, async ones as they are."""
        from looplet.tools import waiting

        if type(self).dispatch is not BaseToolRegistry.dispatch:
            # A subclass that has its own way of calling tools keeps it in the async loop.
            return await waiting.on_thread(lambda: self.dispatch(call, ctx=ctx))
        ready = self._ready(call, ctx)
        if isinstance(ready, ToolResult):
            return ready
        outcome = await waiting.run_async(ready)
        return timed_out(self, ready) if outcome is None else finish(self, ready, outcome)

    async def dispatch_batch_async(
        self, calls: Sequence[ToolCall], *, ctx: ContextFor = None
    ) -> list[ToolResult]:
        """`dispatch_batch` for a running event loop, with tasks in the place of threads."""
        from looplet.tools import waiting

        if type(self).dispatch_batch is not BaseToolRegistry.dispatch_batch:
            return await waiting.on_thread(lambda: self.dispatch_batch(calls, ctx=ctx))
        results: list[ToolResult] = []
        for group in self._groups(calls):
            if len(group) == 1:
                results.append(await self.dispatch_async(group[0], ctx=_context(ctx, group[0])))
            else:
                results += await waiting.at_once_async([self._async_job(call, ctx) for call in group])
        return results

    def _groups(self, calls: Sequence[ToolCall]) -> Iterator[list[ToolCall]]:
        """Calls that may run at once, as lists; every other call in a list of its own."""
        for together, group in groupby(calls, self._is_concurrent_safe):
            if together:
                yield list(group)
            else:
                yield from ([call] for call in group)

    def _is_concurrent_safe(self, call: ToolCall) -> bool:
        spec = self._tools.get(call.tool)
        return spec is not None and spec.concurrent_safe

    def _job(self, call: ToolCall, ctx: ContextFor) -> Callable[[], ToolResult]:
        own = _context(ctx, call)
        return lambda: self.dispatch(call, ctx=own)

    def _async_job(self, call: ToolCall, ctx: ContextFor) -> Any:
        own = _context(ctx, call)
        return lambda: self.dispatch_async(call, ctx=own)


def _check_spec(spec: ToolSpec) -> None:
    if not isinstance(spec, ToolSpec):
        raise ConfigError(f"register takes a ToolSpec, not {spec!r}; make a function one with looplet.tool")
    if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name):
        raise ConfigError(f"tool name {spec.name!r}: use 1 to 64 letters, digits, '_', '.' and '-'")
    if not callable(spec.execute):
        raise ConfigError(f"tool {spec.name!r}: execute must be callable, not {spec.execute!r}")
    if not isinstance(spec.parameters, dict):
        raise ConfigError(f"tool {spec.name!r}: parameters must be a dict, not {spec.parameters!r}")
    limit = spec.timeout_s
    if limit is not None and (
        isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit > 0
    ):
        raise ConfigError(f"tool {spec.name!r}: timeout_s must be seconds above 0, or None; not {limit!r}")
    if not spec.is_json_schema and all(isinstance(name, str) for name in spec.parameters):
        return  # the simple form cannot be wrong, so its check can wait for the first call
    try:
        spec.door().check({})
    except ConfigError as error:
        raise ConfigError(f"tool {spec.name!r}: {error}") from error


def _context(ctx: ContextFor, call: ToolCall) -> ToolContext | None:
    return ctx if ctx is None or isinstance(ctx, ToolContext) or not callable(ctx) else ctx(call)


def register_think_tool(registry: BaseToolRegistry) -> None:
    """Add `think`: a place for a model to reason, which costs no step and changes nothing."""

    def think(*, analysis: str = "") -> dict[str, Any]:
        return {"acknowledged": True, "analysis": analysis}

    registry.register(
        ToolSpec(
            name="think",
            description="Write down your reasoning before you act. Costs no step and changes nothing.",
            parameters={"analysis": "your reasoning"},
            execute=think,
            concurrent_safe=True,
            free=True,
        )
    )
