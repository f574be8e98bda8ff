"""The frozen report of a session, made of the facts that its items noted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from looplet.evals.compare import Comparison
from looplet.evals.gate import Standing
from looplet.trajectory import Trajectory
from looplet.trajectory.encode import encode
from pytest_looplet.report.accepted import Accepted
from pytest_looplet.report.changes import as_json
from pytest_looplet.report.rates import rates
from pytest_looplet.report.timeless import timeless, timing_of
from pytest_looplet.rule_use import RuleUse

SCHEMA = "looplet-session-report/1"


@dataclass(frozen=True, slots=True)
class EvalRow:
    """One eval of one cell.

    Attributes:
        module: The eval file's node id.
        eval: The function's name.
        case: Id of the case.
        trial: Which repetition, from 1.
        standing: `passed`, `failed`, `noted` (it gates nothing), `error` or `skipped`.
        blame: Who is at fault if it is red: agent, tool, provider, judge, harness or drift.
        score, label, metrics, reason: What the eval said, and why it is red.
        required: Whether leaving it out is a failure.
        duration_ms: Milliseconds the eval took; the agent's are not in it.
        order: Position of the eval in its file, from 0.
        line: Line of the eval in its file, from 1; 0 if it is not known.
    """

    module: str
    eval: str
    case: str
    trial: int
    standing: Standing
    blame: str | None = None
    score: float | None = None
    label: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    required: bool = False
    duration_ms: float = 0.0
    order: int = 0
    line: int = 0

    @property
    def run(self) -> str:
        """What its run is called among the runs of the report."""
        return f"{self.module}::{self.case}#{self.trial}"

    @property
    def green(self) -> bool:
        """Whether the session may be green with it."""
        return self.standing in ("passed", "noted")


EVAL_FIELDS = tuple(f.name for f in fields(EvalRow))


@dataclass(frozen=True, slots=True)
class TestRow:
    """One test that ran agents.

    Attributes:
        test: Its node id.
        outcome: pytest's word: passed, failed or skipped.
        runs: Steps, model calls, tokens, cost, stop reason and error of each run.
        line: Line of the test in its file, from 1; 0 if it is not known.
    """

    __test__ = False

    test: str
    outcome: str
    runs: tuple[dict[str, Any], ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True)
class GateRow:
    """A suite gate.

    Attributes:
        module: The eval file's node id.
        eval: The function's name.
        passed: Whether it opened.
        text: What was found and what was demanded.
        demands: What was demanded, as fields of `Demands`.
    """

    module: str
    eval: str
    passed: bool
    text: str
    demands: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionReport:
    """Everything a session found out; every form of report is made of it.

    Attributes:
        evals: By file and function in the order of the session, then by case and trial.
        tests: By node id.
        exit_status: pytest's exit status.
        problems: Why the session as a whole is red, beyond its items.
        remarks: What else its reader should know.
        gates: Suite gates, by file and eval.
        comparison: This session against its baseline, if it has one.
        fresh: Whether the models were really asked, so that chance plays a part.
        planned: Runs that each eval has when nothing is left out, by `file::eval`.
        required: The evals that must not be left out, as `file::eval`.
        spared: Runs of an eval that were left out because its gate had decided, by `file::eval`.
        runs: The trajectories, by `file::case#trial` and `test#number`; empty if nobody will look at them.
        differences: How a run behaved otherwise than in the baseline, in lines, by the run's name.
        departures: The same against the trajectory that was saved with the recording of its test.
        rule_use: What permission rules decided, and which did not.
        accepted: In a baseline: what is accepted of each case, by `file::case`, and of each run of a test.
    """

    evals: tuple[EvalRow, ...] = ()
    tests: tuple[TestRow, ...] = ()
    exit_status: int = 0
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    gates: tuple[GateRow, ...] = ()
    comparison: Comparison | None = None
    fresh: bool = False
    planned: Mapping[str, int] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    spared: Mapping[str, int] = field(default_factory=dict)
    runs: Mapping[str, Trajectory] = field(default_factory=dict)
    differences: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    departures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    accepted: Mapping[str, Accepted] = field(default_factory=dict)
    rule_use: RuleUse = field(default_factory=RuleUse)

    @classmethod
    def of(
        cls,
        rows: Sequence[dict[str, Any]],
        exit_status: int,
        problems: Iterable[str] = (),
        remarks: Iterable[str] = (),
    ) -> SessionReport:
        """The report of the facts in *rows*, whatever their order."""
        known = [row for row in rows if "eval" in row]
        # Workers finish in any order; the report does not show it.
        known.sort(key=lambda row: (row["module"], row["order"], row["eval"], row["case"], row["trial"]))
        evals = [EvalRow(**{name: row[name] for name in EVAL_FIELDS if name in row}) for row in known]
        tests = [
            TestRow(_test_id(row), row["outcome"], tuple(map(_figures, row["runs"])), row.get("line", 0))
            for row in rows
            if "runs" in row and "eval" not in row
        ]
        gates = [
            GateRow(row["module"], row["gate"], row["passed"], row["text"], row.get("demands", {}))
            for row in rows
            if "gate" in row
        ]
        gates.sort(key=lambda row: (row.module, row.eval))
        tests.sort(key=lambda row: row.test)
        return cls(
            tuple(evals),
            tuple(tests),
            exit_status,
            tuple(problems),
            tuple(remarks),
            tuple(gates),
            runs={name: Trajectory.from_json(text) for name, text in _trajectories(rows)},
        )

    def by_eval(self) -> dict[tuple[str, str], list[EvalRow]]:
        """The rows of each eval, by file and function."""
        grouped: dict[tuple[str, str], list[EvalRow]] = {}
        for row in self.evals:
            grouped.setdefault((row.module, row.eval), []).append(row)
        return grouped

    @property
    def cases(self) -> dict[str, str]:
        """The case of each run that evals judged: `file::case` by the run's name."""
        return {row.run: f"{row.module}::{row.case}" for row in self.evals}

    def to_json(self) -> str:
        """As strict JSON: sorted keys, one trailing newline, and all durations in a block `timing`."""
        evals = []
        timing: dict[str, Any] = {}
        for row in self.evals:
            content = asdict(row)
            timing[f"{row.module}::{row.eval}[{row.case}#{row.trial}]"] = content.pop("duration_ms")
            evals.append(content)
        tests = []
        for test in self.tests:
            content = asdict(test)
            timing[test.test] = [run.pop("duration_ms", 0.0) for run in content["runs"]]
            tests.append(content)
        timing["runs"] = {name: timing_of(run) for name, run in self.runs.items()}
        whole: dict[str, Any] = {
            "schema": SCHEMA,
            "exit_status": self.exit_status,
            "problems": list(self.problems),
            "remarks": list(self.remarks),
            "gates": [asdict(gate) for gate in self.gates],
            "evals": evals,
            "tests": tests,
            "timing": timing,
            "fresh": self.fresh,
            "rates": {f"{rate.module}::{rate.eval}": rate.to_json() for rate in rates(self.by_eval())},
            "planned": dict(self.planned),
            "required": list(self.required),
            "spared": dict(self.spared),
            "runs": {name: encode(timeless(run)) for name, run in self.runs.items()},
        }
        if self.departures:
            whole["departures"] = {name: list(lines) for name, lines in self.departures.items()}
        if self.accepted:
            whole["accepted"] = {case: accepted.to_json() for case, accepted in self.accepted.items()}
        if self.rule_use:
            whole["permissions"] = self.rule_use.to_dict()
        if self.comparison is not None:
            differences = {name: list(lines) for name, lines in self.differences.items()}
            whole["baseline"] = as_json(self.comparison) | {"differences": differences}
        return json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _test_id(row: Mapping[str, Any]) -> str:
    return str(row.get("test") or row["nodeid"])


def _figures(run: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name != "trajectory"}


def _trajectories(rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The trajectories that the rows carry, as JSON, by name."""
    found: dict[str, str] = {}
    for row in rows:
        if "eval" in row and row.get("trajectory"):
            found[f"{row['module']}::{row['case']}#{row['trial']}"] = row["trajectory"]
        elif "eval" not in row:
            runs = enumerate(row.get("runs", ()), 1)
            found |= {f"{_test_id(row)}#{n}": run["trajectory"] for n, run in runs if run.get("trajectory")}
    return sorted(found.items())
