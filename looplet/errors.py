"""The exceptions looplet raises, as a tree.

- `LoopletError`: everything below
    - `ConfigError`: an argument cannot be what it is (also a `ValueError`)
    - `ModelError`: the model did not answer (kind, HTTP status, attempts)
    - `ScriptExhausted`: a scripted model was asked more often than it has answers
    - `CheckpointError`: a checkpoint cannot be written, read or resumed
    - `TraceError`: a stored run cannot be read
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from looplet.types import ErrorKind


class LoopletError(Exception):
    """Base of every exception that looplet raises on its own account."""


class ConfigError(LoopletError, ValueError):
    """An argument is wrong in itself or contradicts another; the text names it and the mend."""


class ModelError(LoopletError):
    """The model did not give a usable answer.

    Attributes:
        kind: What sort of failure (`ErrorKind`): decides whether a retry can help.
        status: HTTP status, or None where no reply came.
        attempts: Requests made before giving up, at least 1.
        retriable: Whether the same request may succeed later.
        retry_after_s: Seconds the provider asked us to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind,
        status: int | None = None,
        attempts: int = 1,
        retriable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.attempts = attempts
        self.retriable = retriable
        self.retry_after_s = retry_after_s


class ScriptExhausted(LoopletError, AssertionError):
    """A scripted backend was asked for more replies than the test gave it."""


class CheckpointError(LoopletError):
    """A checkpoint cannot be written, read or resumed; the text names the file and the reason."""


class TraceError(LoopletError, ValueError):
    """A stored run cannot be read; the text names the file and the reason."""
