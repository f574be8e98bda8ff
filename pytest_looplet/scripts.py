"""`looplet_script`: models that say what a test wrote down, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from looplet.testing.scripted import AsyncScriptedChatBackend, Reply, ScriptedChatBackend
from pytest_looplet.ledger import after_the_body, record


class Scripts:
    """What the fixture gives: call it with replies to get a backend.

    Replies are text, `call("search", q="x")`, lists of blocks, exceptions such as `rate_limit()`, or
    functions of the request; see `looplet.testing`. A backend fails when it is asked for more, and so does a
    test that passed with replies left over.

    Args:
        node: The test.
    """

    def __init__(self, node: pytest.Item) -> None:
        self._node = node

    def __call__(self, *replies: Reply, **options: Any) -> ScriptedChatBackend:
        """A backend that gives *replies*, in order; *options* are those of `ScriptedChatBackend`."""
        backend = ScriptedChatBackend(*replies, **options)
        after_the_body(self._node, lambda: _check(backend))
        return backend

    def async_(self, *replies: Reply, **options: Any) -> AsyncScriptedChatBackend:
        """The same for code that awaits its model."""
        backend = AsyncScriptedChatBackend(*replies, **options)
        after_the_body(self._node, lambda: _check(backend))
        return backend


def _check(backend: ScriptedChatBackend | AsyncScriptedChatBackend) -> None:
    try:
        backend.assert_exhausted()
    except AssertionError as error:
        left_over = str(error)
    else:
        return
    # Outside of the handler: else the text is shown twice, as the error and as what it came from.
    pytest.fail(f"looplet_script: {left_over}", pytrace=False)


def make(request: pytest.FixtureRequest) -> Scripts:
    """What the fixture gives; from now on, the session makes the checks that scripts ask for."""
    record(request.config)
    return Scripts(request.node)
