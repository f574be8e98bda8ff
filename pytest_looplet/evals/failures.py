"""How an eval is red: by its own result, or because the run it should look at is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from looplet.errors import LoopletError

if TYPE_CHECKING:
    from _pytest.outcomes import Failed
else:
    Failed = pytest.fail.Exception


class EvalFailed(Failed, AssertionError):
    """An eval's result does not let the session pass; the text says why, without a traceback."""

    __module__ = "builtins"  # as pytest's own outcomes: no module name before the text in the summary

    def __init__(self, text: str) -> None:
        super().__init__(text, pytrace=False)


class HarnessFailed(LoopletError):
    """What stands around the agent is wrong, and not the agent."""


class AgentFailed(Failed):
    """The run that an eval should look at did not come to an end; the text is the run's own report."""

    __module__ = "builtins"

    def __init__(self, text: str) -> None:
        super().__init__(text, pytrace=False)
