"""Which run of an agent this task or thread works for, where several go on at once in one pytest item."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pytest

_running: ContextVar[pytest.Item | None] = ContextVar("looplet_running", default=None)

several_key = pytest.StashKey[list[pytest.Item]]()
"""On an item in which several runs go on at once: one node for each, which stands for it."""


@contextmanager
def running(node: pytest.Item) -> Iterator[None]:
    """From here on, in this context and its copies, work for the run that *node* stands for."""
    token = _running.set(node)
    try:
        yield
    finally:
        _running.reset(token)


def node_of(request: pytest.FixtureRequest) -> pytest.Item:
    """The item that facts belong to which come up here and now: that of the run, else of *request*."""
    node: pytest.Item = _running.get() or request.node
    return node


def running_node() -> pytest.Item | None:
    """The node of the run that goes on here, where several do; else None."""
    return _running.get()
