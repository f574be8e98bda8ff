"""Thousands of saved runs: memory stays flat, and where they are judged changes nothing."""

from __future__ import annotations

import gc
import os
import tracemalloc
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from looplet.evals import eval_discover, eval_run_batch
from looplet.trajectory import Trajectory
from looplet.types import Step, ToolCall, ToolResult, Usage

pytestmark = pytest.mark.slow

EVALS = """
def eval_finished(ctx): return ctx.completed
def eval_short(ctx): return max(0.0, 1 - ctx.step_count / 20)
def eval_words(ctx): return {"score": 1.0, "words": len(ctx.session_log_text.split())}
def eval_breaks(ctx): assert ctx.step_count % 2, "an even number of steps"
"""


def run_of(steps: int) -> Trajectory:
    taken = tuple(
        Step(n, ToolCall("look", {"id": str(n)}), ToolResult("look", "", {"text": "some words " * 40}))
        for n in range(1, steps + 1)
    )
    return Trajectory(task="look", steps=taken, stop_reason="done", usage=Usage(100, 10))


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> list[Path]:
    """Eight runs; others are links to them."""
    folder = tmp_path_factory.mktemp("runs")
    for number in range(8):
        run_of(number + 4).save(folder / f"run-{number}" / "trajectory.json")
    return sorted(folder.iterdir())


@pytest.fixture
def evals(tmp_path):
    (tmp_path / "eval_far.py").write_text(EVALS)
    return eval_discover(tmp_path / "eval_far.py")


def kept_of(evals: list[Any], runs: list[Path]) -> tuple[int, int]:
    """Bytes held at the most beyond the results, and bytes of the results, when *runs* are judged."""
    gc.collect()
    tracemalloc.start()
    try:
        rows = eval_run_batch(evals, runs)
        now, peak = tracemalloc.get_traced_memory()
        assert rows[0]["runs"] == len(runs)
        return peak - now, now
    finally:
        tracemalloc.stop()


def test_memory_is_flat(saved, evals):
    eval_run_batch(evals, saved)
    few, results_of_few = kept_of(evals, saved * 25)
    many, results_of_many = kept_of(evals, saved * 250)
    assert many < few * 1.2 + 100_000
    assert results_of_many / results_of_few < 10.5
    assert results_of_many / (len(saved) * 250) < 4_000  # bytes a run, for four results


@contextmanager
def dask():
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    # No dashboard and no nanny: the workers are processes of their own all the same.
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, protocol="tcp"
        ) as cluster,
        distributed.Client(cluster) as client,
        client.get_executor() as executor,
    ):
        assert len(cluster.workers) == 2
        yield executor


@contextmanager
def processes():
    with ProcessPoolExecutor(2) as executor:
        yield executor


def eval_where(ctx: Any) -> str:
    return str(os.getpid())


@pytest.mark.filterwarnings("ignore")  # Dask's own
@pytest.mark.parametrize("pool", [processes, dask], ids=["process pool", "Dask cluster"])
def test_where_runs_are_judged_changes_nothing(pool, saved, evals):
    runs = saved * 40
    here = eval_run_batch(evals, runs)
    with pool() as executor:
        assert isinstance(executor, Executor)
        spread = eval_run_batch(evals, runs, executor=executor)
        places = {run["label"] for run in eval_run_batch([eval_where], runs, executor=executor)[0]["per_run"]}
    for row in here + spread:
        for run in row["per_run"]:
            run.pop("duration_ms", None)
    assert spread == here
    assert places
    assert str(os.getpid()) not in places
