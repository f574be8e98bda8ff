"""Names, parameters and defaults that agents rely on, one line each in `signatures.txt`.

A callable may take more than its line says, as long as what the line says still works: further parameters
have defaults and come after, and `...` stands for any default.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

LINES = Path(__file__).with_name("signatures.txt").read_text(encoding="utf-8").splitlines()
CALLABLES = [line for line in LINES if "(" in line]
MEMBERS = [line for line in LINES if "(" not in line]


def found(line: str) -> tuple[Any, str]:
    """The object a line is about, and the parameters it lists."""
    module, _, rest = line.replace(" async ", " ").partition(" ")
    dotted, _, parameters = rest.partition("(")
    thing: Any = import_module(f"looplet.{module}")
    for name in dotted.split("."):
        thing = getattr(thing, name)
    return thing, parameters.removesuffix(")")


def promised(parameters: str) -> inspect.Signature:
    """The parameters of a line, as Python reads them."""
    names: dict[str, Any] = {}
    exec(f"def promised({parameters}): pass", names)
    return inspect.signature(names["promised"])


def given(thing: Any) -> list[inspect.Parameter]:
    return [p for p in inspect.signature(thing).parameters.values() if p.name != "self"]


@pytest.mark.parametrize("line", CALLABLES)
def test_signature(line: str) -> None:
    thing, parameters = found(line)
    wanted = list(promised(parameters).parameters.values())
    ours = {p.name: p for p in given(thing)}
    assert [name for name in ours if name in {p.name for p in wanted}] == [p.name for p in wanted]
    for parameter in wanted:
        own = ours[parameter.name]
        if parameter.kind is not parameter.VAR_KEYWORD:
            assert own.kind is parameter.kind, parameter.name
        if parameter.default not in (parameter.empty, ...):
            assert own.default == parameter.default, parameter.name
        elif parameter.default is ...:
            assert own.default is not own.empty, parameter.name
    further = [p for name, p in ours.items() if name not in {q.name for q in wanted}]
    assert all(p.default is not p.empty or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in further)
    positional = [p.name for p in ours.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    asked = [p.name for p in wanted if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional[: len(asked)] == asked


def is_async(thing: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(thing) or inspect.isasyncgenfunction(thing)


@pytest.mark.parametrize("line", CALLABLES)
def test_async_or_not(line: str) -> None:
    assert is_async(found(line)[0]) == (" async " in line)


@pytest.mark.parametrize("line", MEMBERS)
def test_member(line: str) -> None:
    assert isinstance(found(line)[0], property)
