"""The `looplet` marker: how one test meets its model."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, get_args

import pytest

from pytest_looplet.settings import DRIFT_CLASSES, DriftClass, Match, Policy


@dataclass(frozen=True, slots=True)
class Marked:
    """The `looplet` markers of a test put together, the nearest one winning argument by argument.

    Attributes:
        cassette: Path of the cassette below the folder of cassettes, shared with other tests.
        match: `strict` or `sequence`.
        live: Call the provider; only with `--looplet-live`.
        drift: Policy for each class of drift.
        model: `provider:name`; where several are named, the one that this item is for.
    """

    cassette: str | None = None
    match: Match | None = None
    live: bool | None = None
    drift: dict[DriftClass, Policy] = field(default_factory=dict)
    model: str | None = None


ARGUMENTS = tuple(f.name for f in fields(Marked))

CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "cassette": (lambda value: isinstance(value, str) and bool(value), "a path"),
    "match": (lambda value: value in get_args(Match), "'strict' or 'sequence'"),
    "live": (lambda value: isinstance(value, bool), "True or False"),
    "drift": (
        lambda value: (
            isinstance(value, dict)
            and all(name in DRIFT_CLASSES and policy in get_args(Policy) for name, policy in value.items())
        ),
        f"a dict of {', '.join(DRIFT_CLASSES)} to 'fail' or 'warn'",
    ),
    "model": (
        lambda value: (
            _is_model(value)
            or (isinstance(value, list | tuple) and bool(value) and all(map(_is_model, value)))
        ),
        "'provider:name', or a list of such names",
    ),
}

MODEL = "looplet_model_of_item"
"""Parameter of a test that runs once for each of several models."""


def _is_model(value: object) -> bool:
    return isinstance(value, str) and all(value.partition(":"))


def check(metafunc: pytest.Metafunc) -> None:
    """Refuse wrong arguments of a test's markers, while it is collected; several models make several tests.

    Raises:
        pytest.Collector.CollectError: the text names the test, the argument and what it may be.
    """
    for mark in metafunc.definition.iter_markers("looplet"):
        problem = _problem(mark)
        if problem:
            raise pytest.Collector.CollectError(
                f"{metafunc.definition.nodeid}: @pytest.mark.looplet: {problem}"
            )
    models = _together(metafunc.definition).get("model")
    if isinstance(models, list | tuple):
        metafunc.fixturenames.append(MODEL)
        metafunc.parametrize(MODEL, list(models), indirect=True, ids=list(models))


def _problem(mark: pytest.Mark) -> str:
    if mark.args:
        return f"give arguments by name: {', '.join(ARGUMENTS)}"
    for name, value in mark.kwargs.items():
        if name not in CHECKS:
            near = difflib.get_close_matches(name, ARGUMENTS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(ARGUMENTS)}"
            return f"unknown argument {name!r}; {hint}"
        holds, wanted = CHECKS[name]
        if not holds(value):
            return f"{name} must be {wanted}, not {value!r}"
    return ""


def marked(node: pytest.Item) -> Marked:
    """What the markers of *node*, its class and its module say together."""
    together = _together(node)
    if isinstance(together.get("model"), list | tuple):
        callspec = getattr(node, "callspec", None)
        if callspec is None:  # pytest makes several tests of functions and methods only
            raise pytest.UsageError(
                f"{node.nodeid}: several models make several tests of a function, but agents of evals and "
                "classes of unittest run once: name one model"
            )
        together["model"] = callspec.params[MODEL]
    return Marked(**together)


def _together(node: pytest.Item) -> dict[str, Any]:
    together: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers("looplet"))):
        together |= mark.kwargs
    return together
