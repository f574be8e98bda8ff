"""The window: every public name is there, is the real thing, and is what a type checker sees."""

import ast
import importlib
from pathlib import Path

import pytest

import looplet

NAMES = [name for name in looplet.__all__ if name != "__version__"]


def shown_to_type_checkers():
    """Each name of the window, and the module that its `if TYPE_CHECKING` block takes it from."""
    tree = ast.parse(Path(looplet.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {alias.asname: node.module for node in block.body for alias in node.names}


HOMES = shown_to_type_checkers()


def test_type_checkers_see_the_same_names():
    assert sorted(HOMES) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_same_object_as_in_its_module(name):
    assert getattr(looplet, name) is getattr(importlib.import_module(HOMES[name]), name)


def test_no_name_is_given_twice():
    assert len(looplet.__all__) == len(set(looplet.__all__))


def test_dir_shows_every_name():
    assert set(looplet.__all__) <= set(dir(looplet))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'looplet' has no attribute 'composable_lop'"):
        _ = looplet.composable_lop
    with pytest.raises(ImportError):
        exec("from looplet import composable_lop")


def test_the_package_says_what_it_is():
    assert "looplet" in looplet.__doc__
    assert looplet.__version__[0].isdigit()
    assert (Path(looplet.__file__).parent / "py.typed").exists()
