"""Running evals over finished runs, one or thousands, here or elsewhere."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from looplet.clock import perf
from looplet.evals.context import EvalContext, Run, opened
from looplet.evals.discover import load
from looplet.evals.marks import selected
from looplet.evals.progress import watched
from looplet.evals.result import EvalResult

Evaluator = Callable[..., Any]

CHUNK = 32
"""Runs that travel together to an executor: enough to outweigh the trip, few enough to spread."""

AHEAD = 64
"""Chunks that are handed to an executor before the first of them is done."""


def eval_run(
    evaluators: Iterable[Evaluator],
    ctx: EvalContext,
    *,
    judge_llm: Any = None,
    include: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
) -> list[EvalResult]:
    """One result for each eval, in their order.

    An eval with a parameter named `llm` gets *judge_llm*; without one it is labelled `skipped`. An
    `AssertionError` is the agent's failure (score 0, label `fail`), any other exception the eval's own
    (label `error`); both name the line. Coroutines are awaited.

    Args:
        evaluators: Functions of `ctx` or of `ctx, llm`.
        ctx: The run to look at.
        judge_llm: The backend that grades.
        include: Tags (`eval_mark`): only evals with one of them.
        exclude: Tags: no evals with one of them.
    """
    return _run_all(_prepare(evaluators, include, exclude), ctx, judge_llm)


def eval_run_batch(
    evaluators: Iterable[Evaluator],
    contexts: Iterable[Run],
    *,
    judge_llm: Any = None,
    include: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> list[dict[str, Any]]:
    """Every eval over every run: one row for each eval, in their order.

    Runs are taken one by one and let go when they are judged: memory holds the results, and a few runs.

    Args:
        evaluators: As for `eval_run`; so are *judge_llm*, *include* and *exclude*.
        contexts: The runs; a `SavedRun` or a path is read where and when it is judged.
        executor: Where to run: threads, processes, Dask's `client.get_executor()`. The result is the same.
        progress: Whether to draw a bar on standard error; None draws one if that is a terminal.
    Returns:
        `{"name", "scores", "runs", "per_run"}` for each eval: the scores that were given, the number of
        runs, and each run's result as a dict. With at least one score also `avg_score`, `min_score` and
        `max_score`, rounded to three places.
    Raises:
        FileNotFoundError, TraceError: a saved run cannot be read.
    """
    prepared = _prepare(evaluators, include, exclude)
    total = len(contexts) if isinstance(contexts, Sized) else None
    if executor is None:
        by_run: Iterable[list[EvalResult]] = (_run_all(prepared, opened(run), judge_llm) for run in contexts)
    else:
        by_run = _spread(executor, prepared, contexts, judge_llm)
    rows: list[dict[str, Any]] = [
        {"name": one.name, "scores": [], "runs": 0, "per_run": []} for one in prepared
    ]
    for results in watched(by_run, total, "runs", wanted=progress):
        for row, result in zip(rows, results, strict=True):
            _add(row, result)
    return [_with_figures(row) for row in rows]


def _add(row: dict[str, Any], result: EvalResult) -> None:
    row["runs"] += 1
    row["per_run"].append(result.to_dict())
    if result.score is not None:
        row["scores"].append(result.score)


def _with_figures(row: dict[str, Any]) -> dict[str, Any]:
    scores = row["scores"]
    if scores:
        row["avg_score"] = round(sum(scores) / len(scores), 3)
        row["min_score"] = round(min(scores), 3)
        row["max_score"] = round(max(scores), 3)
    return row


# ---------------------------------------------------------------- one eval, ready to call


@dataclass(slots=True)
class _Prepared:
    """An eval whose signature was read once; travels to other processes by file and name.

    A function from an eval file lives in a module that no other process could import by name.
    """

    name: str
    function: Evaluator
    takes_llm: bool
    missing: str

    def __reduce__(self) -> tuple[Any, ...]:
        home = inspect.getmodule(self.function)
        if home is None or not home.__name__.startswith("looplet_evals_") or home.__file__ is None:
            return (_Prepared, (self.name, self.function, self.takes_llm, self.missing))
        names = [name for name, value in vars(home).items() if value is self.function]
        return (_fetch, (home.__file__, names[0] if names else self.name))


_loaded: dict[str, Any] = {}


def _fetch(file: str, name: str) -> _Prepared:
    if file not in _loaded:
        _loaded[file] = load(Path(file))
    return _prepared(getattr(_loaded[file], name))


def _prepare(
    evaluators: Iterable[Evaluator], include: Iterable[str] | None, exclude: Iterable[str] | None
) -> list[_Prepared]:
    return [_prepared(function) for function in selected(evaluators, include, exclude)]


def _prepared(function: Evaluator) -> _Prepared:
    name = getattr(function, "__name__", type(function).__name__)
    parameters = list(inspect.signature(function).parameters.values())
    takes_llm = any(parameter.name == "llm" for parameter in parameters)
    # The first parameter is the context whatever its name; further ones are fixtures, which pytest gives.
    missing = [
        parameter.name
        for parameter in parameters[1:]
        if parameter.name != "llm"
        and parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    return _Prepared(name, function, takes_llm, ", ".join(missing))


def _run_one(prepared: _Prepared, ctx: EvalContext, judge_llm: Any) -> EvalResult:
    try:
        if not prepared.takes_llm and not prepared.missing:
            value = prepared.function(ctx)
        elif prepared.missing:
            why = f"needs pytest fixtures: {prepared.missing}; run it with pytest"
            return EvalResult(prepared.name, label="error", explanation=why)
        elif judge_llm is None:
            return EvalResult(prepared.name, label="skipped", explanation="requires judge_llm")
        else:
            value = prepared.function(ctx, llm=judge_llm)
        if isinstance(value, Coroutine):
            value = _await(value)
        return EvalResult.from_return(value, name=prepared.name)
    except AssertionError as error:
        return _raised(prepared.name, error, score=0.0, label="fail")
    except Exception as error:
        return _raised(prepared.name, error, score=None, label="error")


def _raised(name: str, error: Exception, *, score: float | None, label: str) -> EvalResult:
    text = str(error) or type(error).__name__
    return EvalResult(name, score, label, details=[_where(error.__traceback__)], explanation=text)


def _where(trace: TracebackType | None) -> str:
    """`file:line in function` of the frame the exception came from."""
    last = trace
    while trace is not None:
        last, trace = trace, trace.tb_next
    if last is None:
        return ""
    code = last.tb_frame.f_code
    return f"{code.co_filename}:{last.tb_lineno} in {code.co_name}"


def _await(value: Coroutine[Any, Any, Any]) -> Any:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(value)
    with ThreadPoolExecutor(1) as pool:  # a loop is running in this thread and cannot run another one
        return pool.submit(asyncio.run, value).result()


# ---------------------------------------------------------------- many runs


def _run_all(prepared: Sequence[_Prepared], ctx: EvalContext, judge_llm: Any) -> list[EvalResult]:
    results = []
    started = perf()
    for one in prepared:
        result = _run_one(one, ctx, judge_llm)
        ended = perf()
        result.duration_ms = (ended - started) * 1000
        started = ended
        results.append(result)
    return results


def _run_chunk(prepared: Sequence[_Prepared], judge_llm: Any, runs: Sequence[Run]) -> list[list[EvalResult]]:
    return [_run_all(prepared, opened(run), judge_llm) for run in runs]


def _spread(
    executor: Executor, prepared: Sequence[_Prepared], runs: Iterable[Run], judge_llm: Any
) -> Iterator[list[EvalResult]]:
    """The results of each run, in order; only so many runs are on their way at once."""
    judge = partial(_run_chunk, prepared, judge_llm)
    waiting: deque[Future[list[list[EvalResult]]]] = deque()
    rest = iter(runs)
    while True:
        while len(waiting) < AHEAD and (chunk := list(islice(rest, CHUNK))):
            # submit and not map: an executor's map may take other arguments than the standard one (Dask's).
            waiting.append(executor.submit(judge, chunk))
        if not waiting:
            return
        yield from waiting.popleft().result()
