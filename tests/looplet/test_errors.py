"""The tree of exceptions: one can be caught by its family, and by what Python calls such a thing."""

from __future__ import annotations

import pytest

from looplet import (
    CheckpointError,
    ConfigError,
    ErrorKind,
    FileCheckpointStore,
    LoopletError,
    ModelError,
    ScriptExhausted,
    TraceError,
    Trajectory,
    tools_from,
)
from looplet.testing import ScriptedBackend

FAMILIES = {
    ConfigError: ValueError,
    ModelError: Exception,
    ScriptExhausted: AssertionError,
    CheckpointError: Exception,
    TraceError: ValueError,
}


@pytest.mark.parametrize(("error", "family"), FAMILIES.items(), ids=lambda kind: kind.__name__)
def test_every_exception_of_ours_is_a_looplet_error(error, family):
    assert issubclass(error, LoopletError)
    assert issubclass(error, family)


def test_what_a_caller_catches(tmp_path):
    def broken_checkpoint():
        (tmp_path / "x.json").write_text("{")
        FileCheckpointStore(tmp_path).load("x")

    raising = {
        ConfigError: lambda: tools_from([5]),
        ScriptExhausted: lambda: ScriptedBackend([]).generate("hi"),
        TraceError: lambda: Trajectory.from_json("{"),
        CheckpointError: broken_checkpoint,
    }
    for kind, act in raising.items():
        with pytest.raises(LoopletError) as caught:
            act()
        assert type(caught.value) is kind


def test_a_model_error_says_what_may_help():
    error = ModelError("slow down", kind=ErrorKind.RATE_LIMIT, status=429, retriable=True, retry_after_s=2.0)
    assert (error.kind, error.status, error.attempts) == (ErrorKind.RATE_LIMIT, 429, 1)
    assert (error.retriable, error.retry_after_s, str(error)) == (True, 2.0, "slow down")
