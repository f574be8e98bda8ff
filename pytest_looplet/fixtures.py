"""The fixtures that tests ask for. Each opens its room when it is used and not before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from looplet.clock import FixedClock
    from looplet.evals.case import AgentCase
    from pytest_looplet.capture import Captures
    from pytest_looplet.cassette import Cassette
    from pytest_looplet.people import Human, Permissions
    from pytest_looplet.run import LoopletRun
    from pytest_looplet.scripts import Scripts
    from pytest_looplet.toolbench import ToolBench
    from pytest_looplet.workspace import Workspace


@pytest.fixture
def looplet_run(request: pytest.FixtureRequest) -> LoopletRun:
    """Run an agent to its end: `run = looplet_run("task", tools=[...])` gives its Trajectory.

    Takes `agent` (a preset), `llm`, `tools`, `hooks`, `config`, `state` and any field of LoopConfig, and
    uses looplet_tools, looplet_permissions, looplet_human, looplet_workspace and looplet_clock if the test
    asks for them. On the event loop: `await looplet_run.async_(...)`. Raises RunFailed for a run that died,
    unless check=False; `looplet_run.resume(...)` goes on with the last run.
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
def looplet_tools(request: pytest.FixtureRequest) -> ToolBench:
    """Tools that misbehave on demand: `.register(search)`, then `.fail("search", TimeoutError, at=2)`.

    A registry with done that remembers each call. Faults: fail, slow, corrupt, truncate, replace, inject,
    flaky. Tools given to looplet_run get them too; Trajectory.decisions tells them with verdict "inject".
    """
    from pytest_looplet.toolbench import make

    return make(request)


@pytest.fixture
def looplet_permissions(request: pytest.FixtureRequest) -> Permissions:
    """Who may call what in looplet_run: nothing, until `.script(allow="search", ask="pay")` says so.

    `.asked` and `.denied` are the calls that were, `.audit` is the whole log.
    """
    from pytest_looplet.people import permissions

    return permissions(request)


@pytest.fixture
def looplet_human() -> Human:
    """A person with a script: `looplet_human("approve", "deny")`; with nothing left to say, denies.

    Answers the ASK rules of looplet_permissions and `ctx.approve(...)` of tools; `.asked` are the questions.
    """
    from pytest_looplet.people import Human

    return Human()


@pytest.fixture
def looplet_workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    """A folder for tools: `looplet_workspace / "a.txt"` never leads out, `.changes` tells what they did.

    Empty, or with the files of the case; `.seed({...})` puts more. Tools know it as `ctx.workspace_root`.
    """
    from pytest_looplet.workspace import make

    return make(request, tmp_path)


@pytest.fixture
def looplet_clock() -> Iterator[FixedClock]:
    """A clock that stands still until `.advance(seconds)`, ids that count, and a seeded `random`.

    Two executions of one test then give equal trajectories.
    """
    from pytest_looplet.clockwork import fixed

    with fixed() as clock:
        yield clock


@pytest.fixture
def looplet_model_of_item(request: pytest.FixtureRequest) -> str:
    """The model of a test that @pytest.mark.looplet(model=[...]) runs for several; not for you to ask for."""
    model: str = request.param
    return model


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
