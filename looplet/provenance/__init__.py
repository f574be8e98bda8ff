"""Where a run's results came from: every model call and every step, on disk, as it happened."""

from looplet.provenance.backend import AsyncRecordingLLMBackend, RecordingLLMBackend
from looplet.provenance.call import LLMCall
from looplet.provenance.recorder import StepRecord, TrajectoryRecorder
from looplet.provenance.replay import replay_loop
from looplet.provenance.sink import ProvenanceSink

__all__ = [
    "AsyncRecordingLLMBackend",
    "LLMCall",
    "ProvenanceSink",
    "RecordingLLMBackend",
    "StepRecord",
    "TrajectoryRecorder",
    "replay_loop",
]
