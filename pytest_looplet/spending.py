"""`--looplet-budget`: what the session spends, in all of its processes together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pytest_looplet.settings import settings_of
from pytest_looplet.sharing import locked, share_of

SPENDING = "looplet-spending"


class SharedPurse:
    """What was spent, in a file that all workers of a session read and write under a lock.

    Args:
        folder: The folder they share.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "spent"

    @contextmanager
    def spent(self) -> Iterator[list[float]]:
        """The number in the file."""
        with locked(self._file.with_suffix(".lock")):
            held = [float(self._file.read_text()) if self._file.exists() else 0.0]
            yield held
            self._file.write_text(repr(held[0]))


class Spending:
    """Meters the calls of this process; where the user sees it, says what was spent.

    Args:
        config: The session's.
    """

    def __init__(self, config: pytest.Config) -> None:
        from pytest_looplet.cassette.meter import Meter, metered

        settings = settings_of(config)
        assert settings.budget is not None
        self._context = ExitStack()
        share = share_of(config)
        folder = share or Path(self._context.enter_context(TemporaryDirectory()))
        self.meter = Meter(settings.budget, settings.prices or {}, SharedPurse(folder))
        self._context.enter_context(metered(self.meter))

    def share(self, folder: Path) -> None:
        """In the controller of xdist: workers put down in *folder* what they spend."""
        self.meter.purse = SharedPurse(folder)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the line."""
        with self.meter.purse.spent() as spent:
            terminalreporter.write_line(f"looplet: ${spent[0]:.4f} of ${self.meter.limit_usd:g} spent")

    def pytest_unconfigure(self) -> None:
        """Stop to meter."""
        self._context.close()


def watch_spending(config: pytest.Config) -> None:
    """From now on, calls are metered, if the user set a budget and this session may call a provider."""
    settings = settings_of(config)
    asked = settings.budget is not None and settings.calls_models
    if asked and not config.pluginmanager.has_plugin(SPENDING):
        config.pluginmanager.register(Spending(config), SPENDING)


def share_spending(config: pytest.Config, folder: Path) -> None:
    """Tell the controller of xdist where its workers put down what they spend."""
    spending = config.pluginmanager.get_plugin(SPENDING)
    if isinstance(spending, Spending):
        spending.share(folder)


@contextmanager
def unsaved_tape(config: pytest.Config) -> Iterator[None]:
    """In a live session that counts or limits its calls: a tape that sees them and is never written."""
    settings = settings_of(config)
    if settings.budget is None and settings.concurrency == 1:
        yield
        return
    from pytest_looplet.cassette import open_cassette

    with TemporaryDirectory() as folder:
        tape = open_cassette(Path(folder) / "live.looplet.yaml", mode="rewrite")
        tape.open()
        try:
            yield
        finally:
            tape.close(complete=False)
            if tape.stopped is not None:
                raise tape.stopped
