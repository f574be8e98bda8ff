"""What a callable takes, read off its code object where it has one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType, MethodType
from typing import Any

_KEYWORDS = 0x08  # flags of a code object, as in the inspect module, which is slow to import
_COROUTINE = 0x80
_ASYNC_GENERATOR = 0x200


class Takes:
    """The named arguments of a callable.

    Attributes:
        names: Names it takes by keyword.
        required: Those without a default.
        anything: Whether it takes any other name too (`**kwargs`), or cannot be asked.
        ctx: Whether one is named `ctx`.
        is_async: Whether calling it gives something to await or to iterate with `async for`.
    """

    # A plain class: making a dataclass is what an import of this module would mostly cost.
    __slots__ = ("anything", "ctx", "is_async", "names", "required")

    def __init__(
        self, names: frozenset[str], required: tuple[str, ...], anything: bool, ctx: bool, is_async: bool
    ) -> None:
        self.names = names
        self.required = required
        self.anything = anything
        self.ctx = ctx
        self.is_async = is_async


def probe(function: Callable[..., Any]) -> Takes:
    """What *function* takes; wrappers made with `functools.wraps` are looked through."""
    is_async = _is_async(function)
    inner = function
    while hasattr(type(inner), "__wrapped__") or "__wrapped__" in getattr(inner, "__dict__", ()):
        inner = inner.__wrapped__  # type: ignore[attr-defined]
    bound = isinstance(inner, MethodType)
    plain = inner.__func__ if isinstance(inner, MethodType) else inner
    if isinstance(plain, FunctionType) and "__signature__" not in plain.__dict__:
        names, required, anything = _from_code(plain, skip=int(bound))
    else:
        names, required, anything = _from_signature(inner)
    ctx = "ctx" in names
    if ctx:
        names, required = names - {"ctx"}, [name for name in required if name != "ctx"]
    return Takes(names, tuple(required), anything, ctx, is_async)


def _from_code(function: FunctionType, skip: int) -> tuple[frozenset[str], list[str], bool]:
    code, last = function.__code__, function.__code__.co_argcount
    names = code.co_varnames[max(skip, code.co_posonlyargcount) : last + code.co_kwonlyargcount]
    with_default = {*(function.__kwdefaults__ or ())}
    if function.__defaults__:
        with_default.update(code.co_varnames[last - len(function.__defaults__) : last])
    required = [name for name in names if name not in with_default]
    return frozenset(names), required, bool(code.co_flags & _KEYWORDS)


def _from_signature(function: Callable[..., Any]) -> tuple[frozenset[str], list[str], bool]:
    import inspect  # only for callables that are no plain function: importing it is slow

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return frozenset(), [], True
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    required = [p.name for p in named if p.default is p.empty]
    return frozenset(p.name for p in named), required, any(p.kind is p.VAR_KEYWORD for p in parameters)


def _is_async(function: Callable[..., Any]) -> bool:
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, MethodType):
        function = function.__func__
    if not isinstance(function, FunctionType):
        call = getattr(type(function), "__call__", None)  # noqa: B004 - its code is what we ask for
        if not isinstance(call, FunctionType):
            return False
        function = call
    return bool(function.__code__.co_flags & (_COROUTINE | _ASYNC_GENERATOR))
