"""`looplet baseline`: a report is taken as the new expectation, case by case."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from looplet.trajectory import Trajectory
from looplet.types import Step, ToolCall, ToolResult, Usage
from pytest_looplet.cli import main
from pytest_looplet.report.accepted import Accepted
from pytest_looplet.report.files import write
from pytest_looplet.report.model import EvalRow, SessionReport
from pytest_looplet.report.read import read_report

FILE = "evals/eval_a.py"


def run_of(*tools: str, tokens: int = 100) -> Trajectory:
    steps = tuple(Step(n, ToolCall(t, {}), ToolResult(t, "", None)) for n, t in enumerate(tools, 1))
    return Trajectory(steps=steps, stop_reason="done", usage=Usage(tokens, 0))


def report(standing: str = "passed", *tools: str, cases=("one", "two"), tokens: int = 100) -> SessionReport:
    rows = [EvalRow(FILE, "eval_a", c, 1, "passed", score=1.0) for c in cases[:-1]]
    rows.append(EvalRow(FILE, "eval_a", cases[-1], 1, standing, score=float(standing == "passed")))
    runs = {row.run: run_of("look") for row in rows[:-1]}
    runs[rows[-1].run] = run_of(*(tools or ("look",)), tokens=tokens)
    return SessionReport(tuple(rows), runs=runs)


@pytest.fixture(autouse=True)
def nobody_builds(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def base(tmp_path, capsys):
    write(report(), tmp_path / "r.json")
    assert main(["baseline", "accept", str(tmp_path / "r.json"), str(tmp_path / "base.json")]) == 0
    capsys.readouterr()
    return tmp_path / "base.json"


def accept(base, today, *options):
    write(today, base.with_name("today.json"))
    return main(["baseline", "accept", str(base.with_name("today.json")), str(base), *options])


def variants(base) -> dict[str, list[tuple[list[str], int]]]:
    found: dict[str, Accepted] = dict(read_report(base).accepted)
    return {case: [(v.run.tools, v.seen) for v in one.variants] for case, one in found.items()}


def test_a_case_is_accepted_with_its_reason(base, capsys):
    assert accept(base, report("failed", "look", "pay", tokens=150)) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"accepted {FILE}::two: eval_a passed 1.00 -> failed 0.00; the first difference is at step 2: "
        "pay is only in the new run; steps 1 -> 2 (+100%); tokens 100 -> 150 (+50%)",
        "1 case as before",
        f"wrote {base}",
    ]
    assert variants(base)[f"{FILE}::two"] == [(["look", "pay"], 1)]
    assert accept(base, report("failed", "look", "pay", tokens=150)) == 0
    assert capsys.readouterr().out.splitlines()[0] == "2 cases as before"


def test_further_variants_are_added_with_their_frequency(base):
    accept(base, report("passed", "look", "pay"), "--add")
    accept(base, report("passed", "look", "pay", tokens=400), "--add")
    assert variants(base)[f"{FILE}::two"] == [(["look", "pay"], 2), (["look"], 1)]
    assert read_report(base).accepted[f"{FILE}::two"].figures == {"steps": 1.666666667, "tokens": 200.0}


def test_one_case_is_chosen_by_name_and_the_others_stay(base, capsys):
    today = report("failed", "pay", cases=("one", "two", "three"))
    assert accept(base, today, "--case", "one") == 0
    assert variants(base).keys() == {f"{FILE}::one", f"{FILE}::two"}
    assert accept(base, today, "--case", "four") == 3
    assert "the report has no such case" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "status", "tools"), [("y", 0, ["pay"]), ("n", 1, ["look"])])
def test_asked_case_by_case(answer, status, tools, base, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or answer)
    assert accept(base, report("passed", "pay"), "--ask") == status
    assert len(asked) == 1
    assert asked[0].startswith(f"{FILE}::two: the first difference is at step 1")
    assert variants(base)[f"{FILE}::two"] == [(tools, 1)]


def test_what_could_not_be_judged_is_left(base, capsys):
    assert accept(base, report("error", "pay")) == 1
    assert f"{FILE}::eval_a[two] was not accepted: error" in capsys.readouterr().out
    assert read_report(base).evals[1].standing == "passed"


def test_what_the_report_does_not_have_is_dropped_if_asked(base):
    today = report(cases=("one",))
    accept(base, today)
    assert len(read_report(base).evals) == 2
    accept(base, today, "--prune")
    assert [row.case for row in read_report(base).evals] == ["one"]
    assert list(variants(base)) == [f"{FILE}::one"]


def test_a_report_without_a_judged_case_replaces_nothing(base, capsys):
    before = base.read_bytes()
    assert accept(base, SessionReport(), "--prune") == 3
    assert "no case in it could be judged" in capsys.readouterr().err
    assert base.read_bytes() == before


def test_accepting_is_refused_in_CI(base, monkeypatch, capsys):
    monkeypatch.setenv("CI", "true")
    before = base.read_bytes()
    assert accept(base, report("failed")) == 3
    assert "refused when CI is set" in capsys.readouterr().err
    assert base.read_bytes() == before


def test_a_baseline_is_shown(base, capsys):
    accept(base, report("passed", "pay"), "--add")
    capsys.readouterr()
    assert main(["baseline", "show", str(base)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{FILE}::one: 1 variant; steps 1, tokens 100",
        "  eval_a passed 1.00",
        f"{FILE}::two: 2 variants, seen 1, 1 times; steps 1, tokens 100",
        "  eval_a passed 1.00",
    ]


def test_a_baseline_fits_the_schema_of_reports(base):
    accept(base, report("passed", "pay"), "--add")
    schema = json.loads((Path(__file__).parents[3] / "docs/schemas/report.schema.json").read_text("utf-8"))
    content = json.loads(base.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(content)
    content["accepted"][f"{FILE}::two"]["variants"][0]["seen"] = 0
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(content)
