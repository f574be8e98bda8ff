"""The fixtures that tests ask for. Each opens its room when it is used and not before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from looplet.evals.case import AgentCase
    from pytest_looplet.capture import Captures
    from pytest_looplet.cassette import Cassette
    from pytest_looplet.run import LoopletRun
    from pytest_looplet.scripts import Scripts


@pytest.fixture
def looplet_run(request: pytest.FixtureRequest) -> LoopletRun:
    """Run an agent to its end: `run = looplet_run("task", tools=[...])` gives its Trajectory.

    Takes `llm`, `tools`, `hooks`, `config`, `state` and any field of LoopConfig. On the event loop:
    `await looplet_run.async_(...)`. Raises RunFailed for a run that died, unless check=False.
    """
    from pytest_looplet.run import make

    return make(request)


@pytest.fixture
def looplet_backend(request: pytest.FixtureRequest, looplet_cassette: Cassette | None) -> Any:
    """The backend under test, from looplet_model. Override it in a conftest to build your own."""
    from pytest_looplet.provider import model_under_test

    return model_under_test(request, looplet_cassette)


@pytest.fixture
def looplet_judge(request: pytest.FixtureRequest, looplet_cassette: Cassette | None) -> Any:
    """The backend that grades, from looplet_judge; an eval gets it as its argument `llm`."""
    from pytest_looplet.provider import judge

    return judge(request, looplet_cassette)


@pytest.fixture
def looplet_script(request: pytest.FixtureRequest) -> Scripts:
    """Script a model: `looplet_script("text", call("search", q="x"))` gives a backend that says just that.

    It fails when it is asked for more, and the test fails when replies are left over.
    """
    from pytest_looplet.scripts import make

    return make(request)


@pytest.fixture
def looplet_cassette(request: pytest.FixtureRequest) -> Iterator[Cassette | None]:
    """The cassette of this test: path, mode, interactions, what was played. None with --looplet-live."""
    from pytest_looplet.tapes import opened

    with opened(request) as cassette:
        yield cassette


@pytest.fixture
def looplet_capture(request: pytest.FixtureRequest, looplet_cassette: Cassette | None) -> Captures:
    """Any agent's trajectory: `with looplet_capture() as run:` around code that uses a provider's SDK."""
    from pytest_looplet.capture import make

    return make(request, looplet_cassette)


@pytest.fixture
def looplet_case(request: pytest.FixtureRequest) -> AgentCase:
    """The case that an eval or a looplet_agent is running for; `expected` only for an eval."""
    from pytest_looplet.evals.current import case

    return case(request.node)


@pytest.fixture
def looplet_trial(request: pytest.FixtureRequest) -> int:
    """Which repetition of its case an eval or a looplet_agent is running for, from 1."""
    from pytest_looplet.evals.current import trial

    return trial(request.node)


@pytest.fixture
def looplet_agent() -> Any:
    """How one case is run: override it with a fixture that gives a function of a case to a Trajectory."""
    pytest.fail(
        "evals need to know how a case is run; define in conftest.py or in the eval file\n"
        "    @pytest.fixture\n"
        "    def looplet_agent(looplet_run):\n"
        "        return lambda case: looplet_run(case.task, tools=[...])",
        pytrace=False,
    )


@pytest.fixture
def looplet_await() -> Any:
    """How an async looplet_agent is awaited; with pytest-asyncio, on the loop of its async fixtures."""
    import asyncio

    return asyncio.run
