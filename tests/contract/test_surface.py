"""Every name that agents import: it is there, says what it is, and is used in a test through its public door.

The names are data in `names.txt`, a module and a name on each line.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import looplet

HERE = Path(__file__)
LINES = HERE.with_name("names.txt").read_text(encoding="utf-8").splitlines()[1:]
NAMES = [(words[0], words[1]) for words in map(str.split, LINES)]
TOP = [(words[0], words[1]) for words in map(str.split, LINES) if words[2:] == ["*"]]


def used(file: Path) -> set[str]:
    """The names that a file takes from looplet and does something with."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    doors = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "looplet"
    ]
    taken = {alias.asname or alias.name: alias.name for node in doors for alias in node.names}
    names = {taken.get(node.id, "") for node in ast.walk(tree) if isinstance(node, ast.Name)}
    # `looplet.run_loop`, and `scaffolding.LLMResult` after `from looplet import scaffolding`.
    return names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


USED = set().union(*(used(file) for file in HERE.parents[1].rglob("test_*.py") if file != HERE))

OURS = [(None, name) for name in looplet.__all__]


def found(module: str | None, name: str) -> Any:
    return getattr(import_module(f"looplet.{module}") if module else looplet, name)


def ids(names: list[tuple[Any, str]]) -> list[str]:
    return [f"{module or 'looplet'}.{name}" for module, name in names]


def test_the_window_has_76_names_that_agents_know() -> None:
    known = [name for _, name in TOP] + ["__version__"]
    assert (len(known), set(known) - set(looplet.__all__)) == (76, set())
    assert len(looplet.__all__) == len(set(looplet.__all__))


@pytest.mark.parametrize(("module", "name"), TOP, ids=ids(TOP))
def test_a_name_of_the_window_is_the_one_of_its_module(module: str, name: str) -> None:
    assert getattr(looplet, name) is found(module, name)
    assert name in dir(looplet)


EVERY = list(dict.fromkeys([*NAMES, *OURS]))


@pytest.mark.parametrize(("module", "name"), EVERY, ids=ids(EVERY))
def test_a_name_says_what_it_is(module: str | None, name: str) -> None:
    thing = found(module, name)
    if not callable(thing) or not hasattr(thing, "__module__") or not inspect.getmodule(thing):
        return  # a constant or an alias; told by the lines below it
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return
    assert inspect.cleandoc(thing.__doc__ or "")
    undocumented = [
        member
        for member, value in vars(thing).items()
        if inspect.isclass(thing) and not member.startswith("_") and not documented(thing, member, value)
    ]
    assert undocumented == []


def documented(kind: type, member: str, value: object) -> bool:
    """Whether a method or property of *kind* has a docstring, its own or one that it inherits."""
    if not isinstance(value, Callable | property | classmethod | staticmethod):  # type: ignore[arg-type]
        return True
    return bool(inspect.getdoc(getattr(kind, member)))


@pytest.mark.parametrize(("module", "name"), EVERY, ids=ids(EVERY))
def test_a_name_is_used_in_a_test(module: str | None, name: str) -> None:
    thing = found(module, name)
    assert name in USED or not (inspect.isclass(thing) or inspect.isroutine(thing))


PACKAGE = Path(str(looplet.__file__)).parent
MODULES = sorted(
    f"looplet.{path.relative_to(PACKAGE).with_suffix('').as_posix().replace('/', '.')}".removesuffix(
        ".__init__"
    )
    for path in PACKAGE.rglob("*.py")
    if path.stem != "__main__"
)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_is_and_has_what_it_lists(name: str) -> None:
    module = import_module(name)
    assert module.__doc__
    assert [listed for listed in getattr(module, "__all__", ()) if not hasattr(module, listed)] == []


def test_a_name_that_is_not_there_is_said_so() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        found(None, "nothing")
    assert "looplet" in (looplet.__doc__ or "")
