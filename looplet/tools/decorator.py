"""From functions to tools: `@tool` and `tools_from`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MethodType
from typing import Any, Generic, ParamSpec, TypeVar, overload

from looplet.errors import ConfigError
from looplet.tools.registry import BaseToolRegistry
from looplet.tools.spec import ToolSpec

_OPTIONS = ("name", "description", "timeout_s", "free", "idempotent", "concurrent_safe")

P = ParamSpec("P")
R = TypeVar("R")


class FunctionTool(ToolSpec, Generic[P, R]):
    """A tool that is still the function it was made from: calling it calls the function.

    Attributes:
        function: The function, as it was decorated.
    """

    def __init__(self, *, function: Callable[P, R] | None = None, **fields: Any) -> None:
        super().__init__(**fields)
        self.function: Callable[P, R] = fields["execute"] if function is None else function
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            if hasattr(self.function, name):
                setattr(self, name, getattr(self.function, name))

    def __get__(self, instance: object, owner: type | None = None) -> FunctionTool[..., R]:
        """A method of *instance* as a tool; the tool itself where it is asked of the class."""
        if instance is None:
            return self
        more = {name: getattr(self, name) for name in _OPTIONS}
        return tool(**more)(MethodType(self.function, instance))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, with no check and no registry."""
        return self.function(*args, **kwargs)


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout_s: float | None = None,
    free: bool = False,
    idempotent: bool = False,
    concurrent_safe: bool = False,
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout_s: float | None = None,
    free: bool = False,
    idempotent: bool = False,
    concurrent_safe: bool = False,
) -> Any:
    """Make a function a tool, as `@tool` or `@tool(timeout_s=5)`.

    The schema comes from the signature and its annotations, the description from the docstring before its
    first section, the descriptions of the parameters from its `Args:`. A parameter named `ctx` receives the
    `ToolContext` and is not shown to the model. Dataclasses, enums, pydantic models, dates and paths are
    built from the model's JSON.

    Args:
        name: Instead of the function's name.
        description: Instead of the docstring's text.
        timeout_s: Seconds after which its caller stops waiting.
        free: Does not count against the step budget.
        idempotent: Running it twice is as good as once.
        concurrent_safe: May run at the same time as its neighbours in a batch.

    Raises:
        ConfigError: a parameter is positional-only.
    """

    def made(plain: Callable[..., Any]) -> FunctionTool[..., Any]:
        from looplet.schema.signature import read_signature  # inspect is slow to import

        if not callable(plain):
            raise ConfigError(f"@tool makes a function a tool, not {plain!r}")
        signature = read_signature(plain)
        return FunctionTool(
            name=name or str(getattr(plain, "__name__", type(plain).__name__)),
            description=signature.description if description is None else description,
            parameters=signature.schema,
            execute=signature.execute,
            concurrent_safe=concurrent_safe,
            free=free,
            timeout_s=timeout_s,
            idempotent=idempotent,
            function=plain,
        )

    return made if function is None else made(function)


def done(answer: str) -> dict[str, str]:
    """Give the final answer and end the task.

    Args:
        answer: The whole answer, as the user should read it.
    """
    return {"answer": answer}


def tools_from(
    tools: Iterable[ToolSpec | Callable[..., Any]], *, include_done: bool = False
) -> BaseToolRegistry:
    """A registry of *tools*: specs as they are, functions made tools as `@tool` does.

    Args:
        include_done: Add `done(answer: str)` unless one of *tools* has that name.

    Raises:
        ConfigError: two tools have one name, or something is neither a spec nor a function.
    """
    registry = BaseToolRegistry()
    for item in tools:
        registry.register(item if isinstance(item, ToolSpec) else tool(item))
    if include_done and "done" not in registry.tool_names:
        registry.register(tool(done))
    return registry
