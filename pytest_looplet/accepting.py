"""`--looplet-accept`: what becomes the new expectation, and the reason for each, at the end of a session."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from looplet.evals.compare import Key
from looplet.text import count, escape_terminal
from pytest_looplet.evals.cell import cell_of
from pytest_looplet.evals.plan import Plan, plan_of
from pytest_looplet.recording import accept_all
from pytest_looplet.report.accept import accepting, not_accepted, offers
from pytest_looplet.report.files import write
from pytest_looplet.report.model import SessionReport
from pytest_looplet.report.read import read_report
from pytest_looplet.settings import ACCEPTED_NOWHERE, settings_of

NAME = "looplet-accepting"
PROPERTY = "looplet_accepted"
"""What the report of a test carries for each recording that it rewrote."""


class Accepting:
    """Rewrites recordings and the baseline, and tells of each."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._item: pytest.Item | None = None

    def tell(self, line: str) -> None:
        """Note a recording that was rewritten on the report of the test that is running."""
        if self._item is not None:
            self._item.user_properties.append((PROPERTY, line))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Refuse a session of evals that has nowhere to keep them, before it costs anything."""
        if hasattr(session.config, "workerinput"):  # the controller says so at the end
            return
        if settings_of(session.config).baseline is None and any(map(cell_of, session.items)):
            raise pytest.UsageError(ACCEPTED_NOWHERE)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Know which test is running."""
        self._item = item
        try:
            return (yield)
        finally:
            self._item = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather what was rewritten, also by workers of xdist."""
        if report.when == "call":
            self.lines += [str(line) for name, line in report.user_properties if name == PROPERTY]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show what was accepted, and why."""
        if self.lines:
            terminalreporter.section("looplet accepted", sep="=")
            for line in self.lines:
                terminalreporter.write_line(escape_terminal(line))


def start_accepting(config: pytest.Config) -> None:
    """From now on the runs of this session are the new expectation."""
    if not config.pluginmanager.has_plugin(NAME):
        plugin = Accepting()
        config.pluginmanager.register(plugin, NAME)
        config.add_cleanup(accept_all(plugin.tell))


def accept_session(config: pytest.Config, report: SessionReport, path: Path) -> None:
    """Make *report* the baseline in the file *path*; what this session did not run stays as it was there.

    Raises:
        TraceError, ReportUnreadable: the file cannot be written, or is no baseline.
    """
    before = read_report(path) if path.exists() else None
    offered, gone = offers(report, before), _gone(plan_of(config), before)
    write(accepting(report, before, [offer.case for offer in offered], gone=gone), path)
    lines = [f"accepted {offer.text}" for offer in offered if offer.reasons]
    lines += not_accepted(report)
    lines += [f"dropped {file}::{name}[{case}]: no longer collected" for file, name, case, _ in sorted(gone)]
    same = sum(not offer.reasons for offer in offered)
    lines += [f"{count(same, 'case')} as before"] if same else []
    plugin = config.pluginmanager.get_plugin(NAME)
    if isinstance(plugin, Accepting):
        plugin.lines += [*lines, f"wrote {path}"]


def _gone(plan: Plan, before: SessionReport | None) -> set[Key]:
    """Rows of the baseline that the eval files of this session do not have any more, selected or not."""
    files = {file for file, _ in plan.evals}
    gone: set[Key] = set()
    for row in before.evals if before is not None else ():
        planned = plan.evals.get((row.module, row.eval))
        cell = row.case if row.trial == 1 else f"{row.case}-trial{row.trial}"
        if row.module in files and (planned is None or cell not in planned.cells):
            gone.add((row.module, row.eval, row.case, row.trial))
    return gone
