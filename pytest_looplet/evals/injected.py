"""The fixtures `ctx` and `llm`, which exist in files of evals only: this module must not be a plugin."""

from __future__ import annotations

from typing import Any

import pytest

from looplet.evals.context import EvalContext
from pytest_looplet.evals.results import context_for


@pytest.fixture(name="ctx")
def ctx(request: pytest.FixtureRequest) -> EvalContext:
    """The finished run that this eval looks at."""
    return context_for(request.config, request.node)


@pytest.fixture(name="llm")
def llm(looplet_judge: Any) -> Any:
    """The judge."""
    return looplet_judge
