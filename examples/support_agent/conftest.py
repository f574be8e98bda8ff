"""How one case is run: the agent as it is in production, with the model that the cassette plays."""

import pytest
import support_agent


@pytest.fixture
def looplet_agent(looplet_run):
    def run(case):
        return looplet_run(
            case.task,
            tools=support_agent.TOOLS,
            hooks=support_agent.hooks(),
            config=support_agent.config(),
            check=False,
        )

    return run
