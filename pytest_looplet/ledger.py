"""What this session found out, gathered from the reports of its items, also across xdist workers."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_looplet.evals.plan import plan_of
from pytest_looplet.frames import show_own_frames
from pytest_looplet.housekeeping import keeper_of
from pytest_looplet.keys import lend
from pytest_looplet.places import own_id
from pytest_looplet.safe import make_safe, sendable
from pytest_looplet.servers import watch_servers
from pytest_looplet.settings import Settings, settings_of
from pytest_looplet.sharing import runs_all_in_each
from pytest_looplet.spending import share_spending, watch_spending
from pytest_looplet.wide import watch

if TYPE_CHECKING:
    from looplet.trajectory import Trajectory

facts_key = pytest.StashKey[dict[str, Any]]()
"""On an item: JSON values that its report carries as `report.looplet`."""


def note(node: pytest.Item, **facts: Any) -> None:
    """Add *facts*, JSON values, to what the report of *node* will carry."""
    node.stash.setdefault(facts_key, {}).update(facts)


def note_run(node: pytest.Item, trajectory: Trajectory) -> None:
    """Add a run to what the report of *node* will carry."""
    run = {
        "steps": len(trajectory.steps),
        "model_calls": len(trajectory.model_calls),
        "tokens": trajectory.usage.total_tokens,
        "cost_usd": trajectory.cost_usd,
        "stop_reason": trajectory.stop_reason,
        "error": trajectory.error,
        "duration_ms": round(trajectory.duration_ms, 1),
    }
    from pytest_looplet.report.effort import effort_of

    if settings_of(node.config).keeps_runs:
        run["trajectory"] = trajectory.to_json()
    facts = node.stash.setdefault(facts_key, {})
    facts.setdefault("runs", []).append(run)
    facts.setdefault("efforts", []).append(effort_of(trajectory))


checks_key = pytest.StashKey[list[Callable[[], None]]]()
tells_key = pytest.StashKey[list[Callable[[], None]]]()
causes_key = pytest.StashKey[list[Callable[[], BaseException | None]]]()
ended_key = pytest.StashKey[bool]()


def after_the_body(node: pytest.Item, check: Callable[[], None]) -> None:
    """Call *check* when the body of *node* has passed; what it raises fails the test."""
    node.stash.setdefault(checks_key, []).append(check)


def rather_blame(node: pytest.Item, find: Callable[[], BaseException | None]) -> None:
    """When the body of *node* fails, raise what *find* gives instead, if it gives anything."""
    node.stash.setdefault(causes_key, []).append(find)


def when_it_ended(node: pytest.Item, tell: Callable[[], None]) -> None:
    """Call *tell* when the body of *node* has ended, however it did, and before its report is made."""
    node.stash.setdefault(tells_key, []).append(tell)


def ran_to_its_end(node: pytest.Item) -> bool:
    """Whether the body of *node* passed or failed an assertion, and was not cut by anything else."""
    return node.stash.get(ended_key, False)


@contextmanager
def checked(item: pytest.Item) -> Iterator[None]:
    """The block is the body of *item*: when it has passed, make the checks that its fixtures ask for.

    What a failed body says is less telling than why its replay was ended, if it was.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, TypeError) and re.search("Trajectory.*await", str(error)):
            error.add_note("looplet_run(...) is not awaited; on an event loop: await looplet_run.async_(...)")
        cause = next(filter(None, (find() for find in item.stash.get(causes_key, ()))), error)
        if cause is error:
            raise
        raise cause from error
    finally:
        for tell in item.stash.get(tells_key, ()):
            tell()
    for check in item.stash.get(checks_key, ()):
        check()


class Recorder:
    """Puts the noted facts on the reports of items; one in each process that runs items."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Check what the fixtures of the body ask for."""
        with checked(item):
            yield

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the facts to the report that decides; of our exceptions, show the user's own frames."""
        report = yield
        if report.failed:
            show_own_frames(item, call, report)
        if call.when == "call":
            error = call.excinfo
            item.stash[ended_key] = error is None or error.errisinstance(
                (AssertionError, pytest.fail.Exception)
            )
        facts = item.stash.get(facts_key, None)
        if not report.passed and (facts or checks_key in item.stash):
            make_safe(report)
        if facts and (call.when == "call" or (call.when == "setup" and not report.passed)):
            facts.setdefault("line", (item.location[1] or -1) + 1)
            facts["test"] = own_id(item)
            report.looplet = sendable(facts)  # type: ignore[attr-defined]
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """In a worker of xdist: hand over what permission rules decided here."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None and "pytest_looplet.rule_use" in sys.modules:
            from pytest_looplet.rule_use import RuleUse, use_key

            output["looplet_rules"] = session.config.stash.get(use_key, RuleUse()).to_dict()


class Ledger:
    """Keeps the facts of all reports, in the process that the user started.

    Attributes:
        rows: The facts of each item that had any, with its `nodeid` and pytest's own `outcome`.
        share: In the controller of xdist, the folder in which its workers meet.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._places: dict[str, int] = {}
        self.share: Path | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what the report of an item carries; a later phase that failed makes it an error."""
        facts = getattr(report, "looplet", None)
        if facts is not None:
            row = {**facts, "nodeid": report.nodeid, "outcome": report.outcome}
            place = self._places.setdefault(report.nodeid, len(self.rows))
            self.rows[place : place + 1] = [row]  # what ran again counts as it went the last time
        elif report.when == "teardown" and report.failed and report.nodeid in self._places:
            row = self.rows[self._places[report.nodeid]]
            row["outcome"] = "failed"
            if row.get("standing") in ("passed", "noted"):
                row |= {
                    "standing": "error",
                    "blame": "harness",
                    "reason": "its fixtures could not be torn down",
                }

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Learn from a worker of xdist what it set out to judge."""
        output = getattr(node, "workeroutput", {})
        if "looplet_plan" in output:
            plan_of(node.config).merge(output["looplet_plan"])
        if "looplet_rules" in output:
            from pytest_looplet.rule_use import RuleUse, note_use

            note_use(node.config, RuleUse.from_dict(output["looplet_rules"]))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the reports, and turn the session red where evals ran and none of them said anything."""
        from pytest_looplet.report import conclude

        conclude(session, self.rows)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the scores."""
        from pytest_looplet.report.terminal import annotate, show
        from pytest_looplet.rule_use import show as show_rules

        show(terminalreporter)
        show_rules(terminalreporter)
        annotate(terminalreporter)

    def pytest_unconfigure(self) -> None:
        """Remove the folder in which workers met."""
        if self.share is not None:
            shutil.rmtree(self.share, ignore_errors=True)


LEDGER = "looplet-ledger"
RECORDER = "looplet-recorder"


started_key = pytest.StashKey[bool]()


def start(config: pytest.Config) -> None:
    """Check the settings, and lend stand-in keys where no provider will be called; once for a session."""
    if config.stash.get(started_key, False):
        return
    refuse_mixed_installation()
    settings = settings_of(config)
    if runs_all_in_each(config):
        refuse_to_overwrite(settings)
    keeper_of(config)
    watch(config)
    watch_servers(config)
    watch_spending(config)
    if not settings.calls_models:
        lend(config)
    if (settings.reports or settings.baseline) and not hasattr(config, "workerinput"):
        ledger_of(config)
    if settings.accept:
        from pytest_looplet.accepting import start_accepting

        start_accepting(config)
    if settings.baseline and not (settings.accept and not settings.baseline.exists()):
        from pytest_looplet.report.baseline import read

        read(settings.baseline)  # a baseline that cannot be used is told now and not after an hour
    config.stash[started_key] = True


def refuse_mixed_installation() -> None:
    """Both distributions have a package `looplet`; installed together, their files are mixed.

    Raises:
        pytest.UsageError: the other distribution is there; the text says how to mend it.
    """
    try:
        version = metadata.version("looplet")
    except metadata.PackageNotFoundError:
        return
    raise pytest.UsageError(
        f"the package looplet {version} is installed beside pytest-looplet; both bring a package looplet: "
        "pip uninstall looplet, then pip install --force-reinstall pytest-looplet"
    )


def refuse_to_overwrite(settings: Settings) -> None:
    """With `--dist=each` every process runs everything, so each would write the same files.

    Raises:
        pytest.UsageError: something is to be written; the text says how to do it instead.
    """
    writes = {
        "--looplet-report": settings.reports,
        "--looplet-save-runs": settings.save_runs,
        "--looplet-baseline": settings.baseline,
        "--looplet-accept": settings.accept,
        "a recording": settings.mode != "replay",
    }
    if asked := ", ".join(name for name, value in writes.items() if value):
        raise pytest.UsageError(
            f"--dist=each runs everything in every environment, and {asked} would hold what the last of them "
            "wrote: run pytest once for each environment, with -n or without"
        )


def record(config: pytest.Config) -> None:
    """From now on, reports carry what items note."""
    if not config.pluginmanager.has_plugin(RECORDER):
        config.pluginmanager.register(Recorder(), RECORDER)
        if not hasattr(config, "workerinput"):
            ledger_of(config)


def ledger_of(config: pytest.Config) -> Ledger:
    """The ledger of this session, made when it is first asked for."""
    found = config.pluginmanager.get_plugin(LEDGER)
    if isinstance(found, Ledger):
        return found
    ledger = Ledger()
    config.pluginmanager.register(ledger, LEDGER)
    return ledger


def share_with(node: Any) -> None:
    """Tell an xdist worker where its session shares results; from now on, listen to its reports."""
    keeper_of(node.config)
    ledger = ledger_of(node.config)
    if ledger.share is None:  # made by the first worker that needs it
        ledger.share = Path(tempfile.gettempdir(), f"looplet-session-{os.getpid()}-{os.urandom(6).hex()}")
    share_spending(node.config, ledger.share)
    node.workerinput["looplet_share"] = str(ledger.share)
    node.workerinput["looplet_dist"] = node.config.getoption("dist", "no")
