"""The frozen report of a session, made of the facts that its items noted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from looplet.evals.compare import Comparison
from looplet.evals.gate import Standing
from pytest_looplet.report.changes import as_json

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
    """

    __test__ = False

    test: str
    outcome: str
    runs: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class GateRow:
    """A suite gate.

    Attributes:
        module: The eval file's node id.
        eval: The function's name.
        passed: Whether it opened.
        text: What was found and what was demanded.
    """

    module: str
    eval: str
    passed: bool
    text: str


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
    """

    evals: tuple[EvalRow, ...] = ()
    tests: tuple[TestRow, ...] = ()
    exit_status: int = 0
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    gates: tuple[GateRow, ...] = ()
    comparison: Comparison | None = None

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
            TestRow(row["nodeid"].split("@")[0], row["outcome"], tuple(row["runs"]))
            for row in rows
            if "runs" in row and "eval" not in row
        ]
        gates = [
            GateRow(row["module"], row["gate"], row["passed"], row["text"]) for row in rows if "gate" in row
        ]
        gates.sort(key=lambda row: (row.module, row.eval))
        tests.sort(key=lambda row: row.test)
        return cls(tuple(evals), tuple(tests), exit_status, tuple(problems), tuple(remarks), tuple(gates))

    def by_eval(self) -> dict[tuple[str, str], list[EvalRow]]:
        """The rows of each eval, by file and function."""
        grouped: dict[tuple[str, str], list[EvalRow]] = {}
        for row in self.evals:
            grouped.setdefault((row.module, row.eval), []).append(row)
        return grouped

    def to_json(self) -> str:
        """As strict JSON: sorted keys, one trailing newline, and all durations in a block `timing`."""
        evals, timing = [], {}
        for row in self.evals:
            content = asdict(row)
            timing[f"{row.module}::{row.eval}[{row.case}#{row.trial}]"] = content.pop("duration_ms")
            evals.append(content)
        tests = []
        for test in self.tests:
            content = asdict(test)
            timing[test.test] = [run.pop("duration_ms", 0.0) for run in content["runs"]]
            tests.append(content)
        whole: dict[str, Any] = {
            "schema": SCHEMA,
            "exit_status": self.exit_status,
            "problems": list(self.problems),
            "remarks": list(self.remarks),
            "gates": [asdict(gate) for gate in self.gates],
            "evals": evals,
            "tests": tests,
            "timing": timing,
        }
        if self.comparison is not None:
            whole["baseline"] = as_json(self.comparison)
        return json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
