"""`looplet eval`: grade saved runs without pytest."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from looplet.errors import TraceError
from looplet.evals.case import CaseError, parse_cases, read_json_cases
from looplet.evals.context import SavedRun
from looplet.evals.discover import EvalFileError, eval_discover, eval_files
from looplet.evals.gate import verdict
from looplet.evals.marks import demands_of, selected
from looplet.evals.result import EvalResult
from looplet.evals.run import eval_run_batch
from looplet.text import escape_terminal

Expected = Callable[[str], Any]
"""Gives what is expected of the run in the directory of this name; None if no case is called so."""

Expectations = Callable[[Path], Expected]
"""Reads the cases in a file or folder."""


def eval_cli(args: Sequence[str] | None = None, *, expectations: Expectations | None = None) -> int:
    """Grade every saved run in a folder and print one line for each eval.

    A run whose folder is called as a case, or as a trial of it, is judged by what that case expects.

    Args:
        args: The command line; `sys.argv[1:]` if None.
        expectations: Reads cases; the reader of JSON if None.
    Returns:
        0; 1 when an average is below its threshold, an eval raised or gave no usable score, a file or run
        could not be read, or there was nothing to grade; 2 for a wrong command line.
    """
    options = _parser().parse_args(args)
    try:
        evaluators = _find_evals(options)
        expected = _expected(options, expectations or json_expectations)
        folders = _find_runs(Path(options.traces))
        runs = [SavedRun(folder, expected(folder.name)) for folder in folders]
        print(f"Found {len(evaluators)} evals, {len(runs)} trajectories\n")
        rows = eval_run_batch(evaluators, runs)
    except _NothingToDo as error:
        print(escape_terminal(str(error)))
        return 1
    except TraceError as error:
        print(escape_terminal(f"Cannot read {error}"))
        return 1
    names = [folder.relative_to(options.traces).as_posix() for folder in folders]
    failures = [_print_row(*both, names, options) for both in zip(rows, evaluators, strict=True)]
    return _conclude(rows, [line for lines in failures for line in lines], options.threshold)


class _NothingToDo(Exception):
    """There is nothing that can be graded; the text says why."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="looplet eval", description="Grade saved runs with eval_* functions."
    )
    parser.add_argument("traces", help="folder whose subfolders are saved runs")
    parser.add_argument(
        "--evals", default=".", metavar="PATH", help="file or folder of eval_*.py (default: .)"
    )
    parser.add_argument(
        "--cases",
        type=Path,
        metavar="PATH",
        help="what is expected: a file or folder of cases (default: the folder cases beside the evals)",
    )
    parser.add_argument(
        "--threshold", type=_share, default=0.0, help="least average score of each eval, 0 to 1"
    )
    parser.add_argument("--include", nargs="*", metavar="TAG", help="only evals with one of these tags")
    parser.add_argument("--exclude", nargs="*", metavar="TAG", help="no evals with one of these tags")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every run")
    return parser


def _share(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text} is no finite number")
    return number


def _find_evals(options: argparse.Namespace) -> list[Callable[..., Any]]:
    try:
        found = eval_discover(options.evals, strict=True)
    except EvalFileError as error:
        raise _NothingToDo(f"Cannot import {error}") from error
    if not found:
        raise _NothingToDo(f"No eval_* functions found in {options.evals}")
    chosen = selected(found, options.include, options.exclude)
    if not chosen:
        raise _NothingToDo(f"--include and --exclude leave none of the {len(found)} evals in {options.evals}")
    return chosen


def _find_runs(folder: Path) -> list[Path]:
    """The run directories right in *folder*; where there are none, those at any depth."""
    if not folder.is_dir():
        raise _NothingToDo(f"Traces directory not found: {folder}")
    for pattern in ("*/trajectory.json", "**/trajectory.json"):
        if runs := sorted(path.parent for path in folder.glob(pattern)):
            return runs
    raise _NothingToDo(f"No trajectories found in {folder}")


def _expected(options: argparse.Namespace, read: Expectations) -> Expected:
    if options.cases is not None and not options.cases.exists():
        raise _NothingToDo(f"Cases not found: {options.cases}")
    files = eval_files(Path(options.evals))
    beside = sorted({folder for file in files if (folder := file.parent / "cases").is_dir()})
    try:
        known = [read(place) for place in ([options.cases] if options.cases is not None else beside)]
    except CaseError as error:
        raise _NothingToDo(f"Cannot read {error}") from error
    # Of two cases of one name the later counts.
    return lambda name: next((found for one in reversed(known) if (found := one(name)) is not None), None)


def json_expectations(place: Path) -> Expected:
    """What the cases in JSON files expect, by their ids.

    Raises:
        CaseError: a file cannot be read, or is YAML, which takes the command `looplet`.
    """
    files = [place] if place.is_file() else sorted(file for file in place.iterdir() if file.is_file())
    for file in files:
        if file.suffix.lower() in (".yaml", ".yml"):
            raise CaseError(f"{file}: YAML is read by the command looplet eval, not by python -m looplet")
    rows = [
        row for file in files if file.suffix.lower() in (".json", ".jsonl") for row in read_json_cases(file)
    ]
    return {case.id: case.expected for case in parse_cases(rows)}.get


def _print_row(
    row: dict[str, Any], function: Callable[..., Any], names: Sequence[str], options: argparse.Namespace
) -> list[str]:
    """Print one eval; gives the reasons why it fails the command."""
    demands = demands_of(function)
    limit = demands.threshold if demands.threshold is not None else options.threshold
    reasons = _unusable(row, function, names)
    average = row.get("avg_score")
    if average is not None and not average >= limit:
        worst, name = _worst(row, names)
        reasons.append(
            f"{row['name']}: average {average:.2f} is below {limit:.2f}, worst {worst:.2f} ({name})"
        )
    mark = "✗" if reasons else "-" if average is None else "✓"
    figures = "(no scores)"
    if average is not None:
        least, most, runs = row["min_score"], row["max_score"], len(row["scores"])
        figures = f"avg={average:.2f}  min={least:.2f}  max={most:.2f}  ({runs} runs)"
    print(f"  {mark} {row['name']:<40} {figures}")
    if options.verbose:
        _print_runs(row, names)
    return reasons


def _worst(row: dict[str, Any], names: Sequence[str]) -> tuple[float, str]:
    """The least score, and the first run that has it."""
    found = zip(row["per_run"], names, strict=True)
    return min(((one["score"], name) for one, name in found if "score" in one), key=lambda pair: pair[0])


def _unusable(row: dict[str, Any], function: Callable[..., Any], names: Sequence[str]) -> list[str]:
    """Why results of *row* can be no part of an average."""
    reasons = []
    for result, name in zip(row["per_run"], names, strict=True):
        found = verdict(EvalResult(**result), demands_of(function))
        if found.standing == "error":
            place = f" ({result['details'][0]})" if result.get("details") else ""
            reasons.append(f"{row['name']}, {name}: {found.reason}{place}")
    return reasons


def _print_runs(row: dict[str, Any], names: Sequence[str]) -> None:
    for number, (result, name) in enumerate(zip(row["per_run"], names, strict=True)):
        told = f"{result.get('score', result.get('label', '-'))}  {name}"
        print(f"      run_{number}: {escape_terminal(told)}")
        for line in result.get("details", [])[:3]:
            print(f"        {escape_terminal(line)}")


def _conclude(rows: list[dict[str, Any]], reasons: list[str], threshold: float) -> int:
    averages = [row["avg_score"] for row in rows if "avg_score" in row]
    if threshold > 0 and not averages:
        reasons = [*reasons, f"no eval gave a score to hold against the threshold {threshold:.2f}"]
    if averages:
        print(f"\n  overall: {sum(averages) / len(averages):.2f}")
    if threshold > 0:
        print(f"  threshold: {threshold:.2f}  → {'FAIL' if reasons else 'PASS'}")
    for reason in reasons:
        print(f"  {escape_terminal(reason)}")
    return 1 if reasons else 0
