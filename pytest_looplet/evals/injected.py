"""The fixtures `ctx` and `llm`, which exist in files of evals only: this module must not be a plugin."""

from __future__ import annotations

from typing import Any

import pytest

from looplet.evals.context import EvalContext
from pytest_looplet.evals.results import context_for

at_work: list[pytest.Item] = []
"""The item that runs, last: its `ctx` is asked for.

The fixture does not ask for `request`, which would cost each eval a tenth of its time.
"""


@pytest.fixture(name="ctx")
def ctx() -> EvalContext:
    """The finished run that this eval looks at."""
    return context_for(at_work[-1].config, at_work[-1])


@pytest.fixture(name="llm")
def llm(looplet_judge: Any) -> Any:
    """The judge."""
    return looplet_judge
