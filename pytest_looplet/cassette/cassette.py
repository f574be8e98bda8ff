"""Opening a cassette: what it does to calls while it is open, and what becomes of the file at the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Token
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from looplet.errors import ConfigError
from pytest_looplet.cassette import deck, files
from pytest_looplet.cassette.errors import CassetteError, ReplayStopped, UnplayedInteractions
from pytest_looplet.cassette.interaction import Interaction, Recording
from pytest_looplet.cassette.interception import interception
from pytest_looplet.cassette.matching import PATTERNS, DriftClass, Normalizer
from pytest_looplet.cassette.network import guard
from pytest_looplet.cassette.secrets import scrubs
from pytest_looplet.cassette.tape import Match, Mode, Rules, Tape
from pytest_looplet.names import from_here

if TYPE_CHECKING:
    from pytest_looplet.cassette.drift import Drift

Policy: TypeAlias = Literal["fail", "warn"]
Unused: TypeAlias = Literal["error", "ignore"]

_recording_now: set[str] = set()
_lock = threading.Lock()


class Cassette:
    """One open (or closed) cassette.

    A context manager, plain or `async with`. Inside it, model calls of this context are played or recorded;
    at its end a recording is written. What ended a replay is raised again at the end if the code under test
    swallowed it.

    Attributes:
        path: The file.
        mode: What it was opened for.
    """

    def __init__(
        self, path: str | os.PathLike[str], mode: Mode, rules: Rules, tape: Tape, unused: Unused
    ) -> None:
        self.path = Path(path)
        self.mode = mode
        self._rules = rules
        self._tape = tape
        self._unused = unused
        self._token: Token[Any] | None = None
        self._records_here = tape.records
        self._guards = tape.only_plays

    @property
    def interactions(self) -> list[Interaction]:
        """The calls on the cassette: those read from the file, then those recorded since."""
        return self._tape.recording.interactions + self._tape.recorded

    @property
    def calls(self) -> int:
        """Requests made so far."""
        return self._tape.calls

    @property
    def played(self) -> list[Interaction]:
        """Recorded calls that answered a request."""
        return self._tape.played

    @property
    def recorded(self) -> list[Interaction]:
        """Calls that went to the provider: what this run paid for."""
        return list(self._tape.recorded)

    @property
    def unplayed(self) -> list[Interaction]:
        """Recorded calls that were not made."""
        return self._tape.unplayed

    @property
    def unplayed_report(self) -> str:
        """The recorded calls that were not made, for people; empty if there are none."""
        left, total = self.unplayed, len(self._tape.recording.interactions)
        if not left:
            return ""
        from pytest_looplet.cassette.drift import unplayed_text

        return unplayed_text(from_here(self.path), left, total, self._rules.rerecord)

    @property
    def drifts(self) -> list[Drift]:
        """Differences that did not stop the replay: `sequence` matching, or a policy of `warn`."""
        return list(self._tape.drifts)

    @property
    def stopped(self) -> ReplayStopped | None:
        """What ended the replay, or None."""
        return self._tape.stopped

    @property
    def drift_expected(self) -> str:
        """Why requests may differ, as `expect_drift` was told; empty if they may not."""
        return self._tape.drift_expected

    def expect_drift(self, why: str) -> None:
        """From now on, a request that no recorded call answers is answered by the next one in order.

        For a test that itself changes what the agent sees. What differs is told in `drifts`.

        Args:
            why: What was changed; the first reason is kept.
        """
        self._tape.drift_expected = self._tape.drift_expected or why

    def forgive(self) -> None:
        """Forget what ended the replay: for code that expects it, such as a test of a test."""
        self._tape.stopped = None

    def open(self) -> Cassette:
        """Start to play or record; `with` does it.

        Raises:
            CassetteError: it is being recorded already, or model calls would not be seen.
        """
        if self._token is not None:
            raise CassetteError(f"cassette {self.path} is open already")
        self._claim()
        try:
            interception.acquire(only_plays=self._guards)
        except BaseException:
            self._unclaim()
            raise
        if self._guards:
            guard.acquire()
        self._token = deck.put_in(self._tape)
        return self

    def close(self, *, complete: bool = True, passed: bool = False) -> None:
        """Stop to play or record, and write what was recorded; `with` does it.

        Args:
            complete: The code inside ran to its end. If not, a recording goes to a file beside the cassette,
                with `.partial` behind its name, and the cassette is left alone.
            passed: It ended as it should. Only then does a recording without a single call take an older
                cassette away.
        Raises:
            CassetteNotWritten: the disk refused it.
        """
        if self._token is None:
            return
        token, self._token = self._token, None
        try:
            self._tape.close_slots()
        finally:
            deck.take_out(self._tape, token)
            if self._guards:
                guard.release()
            interception.release()
            try:
                self._save(complete, passed)
            finally:
                self._unclaim()

    def _save(self, complete: bool, passed: bool) -> None:
        tape = self._tape
        recording = Recording(tape.interactions, tape.free_order)
        if tape.recorded:
            files.write(self.path if complete else self.partial_path, _dump(recording))
            if complete:  # what an earlier recording left that was cut short
                files.remove(self.partial_path)
        elif tape.records and passed and tape.unplayed and recording.interactions:
            # `tail`, and the agent now makes fewer calls.
            files.write(self.path, _dump(recording))
        elif tape.records and passed and not recording.interactions:
            files.remove(self.path)

    @property
    def partial_path(self) -> Path:
        """Where a recording goes that was cut short."""
        return self.path.with_name(f"{self.path.name}.partial")

    def _claim(self) -> None:
        if not self._records_here:
            return
        key = os.path.realpath(self.path)
        with _lock:
            if key in _recording_now:
                raise CassetteError(
                    f"cassette {self.path} is being recorded already; a cassette that several tests share "
                    "can be replayed, not recorded"
                )
            _recording_now.add(key)

    def _unclaim(self) -> None:
        if not self._records_here:
            return
        with _lock:
            _recording_now.discard(os.path.realpath(self.path))

    def __enter__(self) -> Cassette:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(complete=error is None or isinstance(error, AssertionError), passed=error is None)
        if error is None:
            self.check()

    def check(self) -> None:
        """Raise what the code under test hid, or calls that were left over if that was asked for.

        Raises:
            ReplayStopped: the replay was ended, and the code went on.
            UnplayedInteractions: `unused="error"`, and recorded calls were not made.
        """
        if self._tape.stopped is not None:
            raise self._tape.stopped
        if self._unused == "error" and not self._tape.records and self.unplayed:
            raise UnplayedInteractions(self.unplayed_report)

    async def __aenter__(self) -> Cassette:
        return self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


def open_cassette(
    path: str | os.PathLike[str],
    *,
    mode: Mode = "replay",
    match: Match = "strict",
    drift_policy: Mapping[DriftClass, Policy] | None = None,
    normalizers: Sequence[Normalizer] = (),
    redactors: Sequence[Callable[[str], str]] = (),
    allow_hosts: Sequence[str] = (),
    rerecord_command: str = "",
    unused: Unused = "ignore",
    blocks: bool = True,
) -> Cassette:
    """The cassette at *path*, to be used in a `with` statement.

    Args:
        path: The file; need not exist. In `replay` it is missed when a call is made, not before.
        mode: `replay`, `rewrite`, `missing` or `tail`.
        match: `strict` or `sequence`.
        drift_policy: Which classes of drift only warn.
        normalizers: What shall not count when requests are compared.
        redactors: Take further secrets out of any text, before it is compared or kept.
        allow_hosts: `host` or `host:port` that a replay may connect to.
        rerecord_command: Shown in messages.
        unused: Whether recorded calls that were not made raise at the end of the `with` block.
        blocks: Whether a replay refuses connections other than model calls, which are never made, and
            threads that outlive the cassette lose the right to call.
    Raises:
        ConfigError: an argument is none of those named.
        CassetteUnreadable: the file is damaged, also where it would be recorded over bit by bit (`tail`).
    """
    policy: dict[DriftClass, Policy] = dict(drift_policy or {})
    _check_words(mode, match, policy, normalizers, unused)
    file = Path(path)
    text = None if mode == "rewrite" else files.read(file, mend=_mend(rerecord_command))
    read = None if text is None else _load(text, from_here(path), _mend(rerecord_command))
    rules = Rules(match, policy, tuple(normalizers), rerecord_command)
    records = mode in ("rewrite", "tail") or (mode == "missing" and read is None)
    plays = mode == "replay" or read is not None
    tape = Tape(from_here(path), read, plays=plays, records=records, rules=rules, scrubs=scrubs(redactors))
    tape.allowed.update(allow_hosts)
    tape.blocks = blocks
    tape.only_plays = blocks and tape.only_plays
    return Cassette(file, mode, rules, tape, unused)


@contextmanager
def kept_installed(*, guards: bool) -> Iterator[None]:
    """Keep in place what cassettes install, so that many which follow each other do not do it each anew.

    Args:
        guards: They only play, so that the guard of the network stays too. It stops what belongs to an open
            cassette and nothing else.

    Raises:
        CassetteError: model calls would not be seen.
    """
    interception.acquire(only_plays=guards)
    if guards:
        guard.acquire()
    try:
        yield
    finally:
        if guards:
            guard.release()
        interception.release()


def use_cassette(
    path: str | os.PathLike[str], mode: Mode = "replay", *, unused: Unused = "error", **options: Any
) -> Cassette:
    """Record or replay the model calls of a `with` (or `async with`) block; for notebooks and scripts.

        with use_cassette("refund.looplet.yaml", mode="missing"):
            answer = client.chat.completions.create(...)

    Args:
        path: The cassette file.
        mode: `replay` plays and never touches the network, `rewrite` records afresh, `missing` records only
            where there is no file, `tail` plays up to the first request that differs and records from there.
        unused: `ignore` lets recorded calls be left over.
        options: As for `open_cassette`.
    """
    return open_cassette(path, mode=mode, unused=unused, **options)


def _load(text: bytes, path: str, mend: str) -> Recording:
    from pytest_looplet.cassette.format import load  # brings YAML, and many tests have no cassette

    return load(text, path, mend=mend)


def _dump(recording: Recording) -> str:
    from pytest_looplet.cassette.format import dump

    return dump(recording)


def _mend(command: str) -> str:
    return f"record it again: {command}" if command else "restore it, or delete it and record it again"


def _check_words(
    mode: str, match: str, policy: Mapping[Any, Any], normalizers: Sequence[Normalizer], unused: str
) -> None:
    for name, value, allowed in (
        ("mode", mode, get_args(Mode)),
        ("match", match, get_args(Match)),
        ("unused", unused, get_args(Unused)),
        *(("drift class", kind, get_args(DriftClass)) for kind in policy),
        *(("drift policy", word, get_args(Policy)) for word in policy.values()),
        *(("normalizer", n, tuple(PATTERNS)) for n in normalizers if isinstance(n, str)),
    ):
        if value not in allowed:
            raise ConfigError(f"{name} is one of {', '.join(allowed)}; not {value!r}")
