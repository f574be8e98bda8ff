"""How one case is run."""

import pytest
from translator import TOOLS


@pytest.fixture
def looplet_agent(looplet_run):
    return lambda case: looplet_run(case.task, tools=TOOLS)
