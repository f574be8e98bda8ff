"""The fixtures `ctx` and `llm`, which exist in files of evals only: this module must not be a plugin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from looplet.evals.context import EvalContext
from pytest_looplet.evals.results import context_for

_at_work: list[pytest.Item] = []


@contextmanager
def at_work(item: pytest.Item) -> Iterator[None]:
    """The block runs *item*: its `ctx` is asked for inside.

    The fixture does not ask for `request`, which would cost each eval a tenth of its time.
    """
    _at_work.append(item)
    try:
        yield
    finally:
        _at_work.pop()


@pytest.fixture(name="ctx")
def ctx() -> EvalContext:
    """The finished run that this eval looks at."""
    return context_for(_at_work[-1].config, _at_work[-1])


@pytest.fixture(name="llm")
def llm(looplet_judge: Any) -> Any:
    """The judge."""
    return looplet_judge
