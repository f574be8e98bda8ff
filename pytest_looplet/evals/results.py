"""Where the outcomes of the agent's runs are kept, one for each cell, shared by all evals of the case."""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from looplet.errors import TraceError
from looplet.evals.context import EvalContext
from looplet.trajectory import Trajectory
from pytest_looplet.evals.cell import Cell, cell_of
from pytest_looplet.evals.failures import AgentFailed
from pytest_looplet.evals.outcome import Outcome
from pytest_looplet.evals.packing import pack
from pytest_looplet.sharing import locked, share_of, try_locked

MOST_LOCKED = 100
"""Cells that one process takes for itself at a time: each lock is an open file."""

DIED = Outcome(
    "failed",
    blame="harness",
    reason="the process that ran the agent died before the run ended",
    text="The process that ran the agent for this case died before the run ended; see the crash above.",
)


class Results:
    """The outcomes of this session's runs.

    Args:
        share: Folder in which the workers of an xdist session meet, or None for a single process.
    """

    def __init__(self, share: Path | None) -> None:
        self._share = share
        self._known: dict[str, Outcome] = {}
        self._told: set[int] = set()
        self._repeats_told: set[str] = set()
        self._packed: dict[int, bytes] = {}
        self._tellers: dict[tuple[str, str], str] = {}

    def get(self, file: pytest.Collector, cell: Cell) -> Outcome | None:
        """The outcome of *cell* for the evals of *file*, or None before it has run here."""
        return self._known.get(_key(file, cell))

    def keep(self, file: pytest.Collector, cell: Cell, outcome: Outcome) -> None:
        """From now on, *outcome* is that of *cell* for the evals of *file* in this process."""
        self._known[_key(file, cell)] = outcome

    def context_of(self, outcome: Outcome) -> EvalContext:
        """The run of *outcome*, a fresh copy for each eval: what one changes, no other sees."""
        packed = self._packed.get(id(outcome))
        if packed is None:
            assert outcome.trajectory is not None
            # Unpacking is several times faster than reading JSON, and there may be thousands of evals.
            ctx = EvalContext.from_trajectory(Trajectory.from_json(outcome.trajectory))
            packed = self._packed[id(outcome)] = pack(ctx)
        copied: EvalContext = pickle.loads(packed)
        return copied

    def tells(self, what: str, file: pytest.Collector, cell: Cell, teller: str) -> bool:
        """Whether *teller* is the one eval that tells *what* about *cell* here: the first that asks.

        An eval that runs again asks again, and is still the one.
        """
        return self._tellers.setdefault((what, _key(file, cell)), teller) == teller

    def to_report(self, file: pytest.Collector, cell: Cell) -> str | None:
        """The run of *cell* as JSON; None where there is none that can be read."""
        if cell.saved is not None:
            try:
                return Trajectory.load(cell.saved).to_json()
            except TraceError:
                return None  # its evals say so
        outcome = self.get(file, cell)
        return outcome.trajectory if outcome is not None else None

    def is_first_to_tell(self, file: pytest.Collector, cell: Cell) -> bool:
        """Whether nobody asked this about *cell* before, in any process of the session."""
        key = _key(file, cell)
        if key in self._repeats_told:
            return False
        self._repeats_told.add(key)
        if self._share is None:
            return True
        result, _, lock = self._files(key)
        told = result.with_suffix(".repeats")
        with locked(lock):
            first = not told.exists()
            told.touch()
        return first

    def was_told(self, outcome: Outcome) -> bool:
        """Whether *outcome* was asked about before: its whole report need not be shown twice."""
        before = id(outcome) in self._told
        self._told.add(id(outcome))
        return before

    def ensure(self, file: pytest.Collector, cell: Cell, run: Callable[[], Outcome]) -> None:
        """See to it that *cell* has run once, in this process or in another of the session."""
        key = _key(file, cell)
        if key in self._known:
            return
        if self._share is None:
            self._known[key] = run()
            return
        result, started, lock = self._files(key)
        with locked(lock):
            self._known[key] = self._once(result, started, run)

    def ensure_all(
        self,
        file: pytest.Collector,
        cells: Sequence[Cell],
        run: Callable[[Sequence[Cell]], Mapping[str, Outcome]],
    ) -> None:
        """See to it that *cells* have run, those at once that this process is first to get.

        What another process of the session is running just now is left to it, and to `ensure`; so is what
        is too much for one time.
        """
        if self._share is None:
            for name, outcome in run(cells).items():
                self._known[f"{file.nodeid}::{name}"] = outcome
            return
        with ExitStack() as held:
            mine: dict[str, tuple[Cell, Path, Path]] = {}
            for cell in cells:
                result, started, lock = self._files(_key(file, cell))
                if started.exists():  # nor is there a need to wait for its lock
                    continue
                if held.enter_context(try_locked(lock)) and not started.exists():
                    mine[cell.id] = cell, result, started
                if len(mine) == MOST_LOCKED:
                    break
            for _, _, started in mine.values():
                started.touch()
            if mine:
                for name, outcome in run([cell for cell, _, _ in mine.values()]).items():
                    _write(mine[name][1], outcome)

    def _files(self, key: str) -> tuple[Path, Path, Path]:
        """Where the processes of a session keep an outcome, the mark that its run began, and its lock."""
        assert self._share is not None
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        return self._share / f"{name}.json", self._share / f"{name}.started", self._share / f"{name}.lock"

    def _once(self, result: Path, started: Path, run: Callable[[], Outcome]) -> Outcome:
        if result.exists():
            return Outcome.from_json(result.read_text(encoding="utf-8"))
        if started.exists():  # whoever held the lock is gone and left no result
            return DIED
        started.touch()
        outcome = run()
        _write(result, outcome)
        return outcome


def _write(result: Path, outcome: Outcome) -> None:
    draft = result.with_suffix(f".{os.getpid()}.part")
    draft.write_text(outcome.to_json(), encoding="utf-8")
    draft.replace(result)


results_key = pytest.StashKey[Results]()


def results_of(config: pytest.Config) -> Results:
    """The outcomes of this session."""
    found = config.stash.get(results_key, None)
    if found is None:
        found = config.stash[results_key] = Results(share_of(config))
    return found


def context_for(config: pytest.Config, item: pytest.Item) -> EvalContext:
    """A fresh context of the run that the eval *item* looks at.

    Raises:
        AgentFailed: the run failed, or the saved run cannot be read.
        pytest.skip.Exception: the agent skipped the case.
    """
    __tracebackhide__ = True
    cell = cell_of(item)
    assert cell is not None
    assert isinstance(item.parent, pytest.Collector)
    if cell.saved is not None:
        try:
            ctx = EvalContext.from_trajectory_dir(cell.saved)
        except (TraceError, FileNotFoundError) as error:
            raise AgentFailed(f"the saved run cannot be read: {error}") from error
        ctx.expected = copy.deepcopy(cell.case.expected)
        return ctx
    known = results_of(config)
    outcome = known.get(item.parent, cell)
    if outcome is None:
        raise AgentFailed("the agent did not run for this case")
    if outcome.status == "skipped":
        pytest.skip(outcome.text)
    if outcome.status == "failed":
        if not outcome.recorded:  # short, and with a command that is there to be copied: each eval tells it
            raise AgentFailed(f"case {cell.id} is not recorded: {outcome.text}")
        text = outcome.reason if known.was_told(outcome) else f"\n{outcome.text}"
        raise AgentFailed(f"the agent's run for case {cell.id} failed ({outcome.blame}): {text}")
    ctx = known.context_of(outcome)
    ctx.expected = copy.deepcopy(cell.case.expected)
    return ctx


def _key(file: pytest.Collector, cell: Cell) -> str:
    return f"{file.nodeid}::{cell.id}"
