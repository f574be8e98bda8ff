"""A report read back, and parts put together."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from pytest_looplet.report.files import render, write
from pytest_looplet.report.merge import ReportsOverlap, merge
from pytest_looplet.report.read import ReportUnreadable, read_report, report_from

SCHEMA = Path(__file__).parents[3] / "docs" / "schemas" / "report.schema.json"


def clean(report):
    """Without the half character, which no file can hold as such."""
    return report_from(json.loads(report.to_json().encode("utf-8", "backslashreplace")))


def test_a_report_reads_back_the_same(report, tmp_path):
    write(report, tmp_path / "r.json")
    again = read_report(tmp_path / "r.json")
    for suffix in (".json", ".md", ".html"):
        assert render(again, suffix) == render(clean(again), suffix)
    assert again.evals == report.evals
    assert again.comparison == report.comparison
    assert render(again, ".md") == render(report, ".md")


def test_a_report_fits_its_schema(report):
    content = json.loads(report.to_json().encode("utf-8", "backslashreplace"))
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(content)


def _of(rows, report):
    return tuple(c for c in report.comparison.changes if any(c.key[2] == row.case for row in rows))


def parts_of(report):
    """Three shards: by case, and the test with the last."""
    parts = []
    for shard in range(3):
        rows = tuple(row for row in report.evals if int(row.case[-4:]) % 3 == shard)
        names = {row.run for row in rows}
        kept = replace(report.comparison, changes=_of(rows, report)) if report.comparison else None
        parts.append(
            replace(
                report,
                evals=rows,
                tests=report.tests if shard == 2 else (),
                runs={
                    n: run for n, run in report.runs.items() if n in names or (shard == 2 and "test_a" in n)
                },
                differences={n: d for n, d in report.differences.items() if n in names},
                comparison=kept,
                exit_status=int(shard != 1),
            )
        )
    return parts


def test_PP_02_three_shards_make_the_report_of_the_whole_in_any_order(report):
    whole = clean(report)
    parts = parts_of(whole)
    assert merge(parts).to_json() == whole.to_json()
    assert render(merge(parts[::-1]), ".html") == render(whole, ".html")


def test_gates_are_judged_again_over_all_runs(report):
    gate = replace(report.gates[0], passed=False, text="only a part", demands={"pass_rate": 0.3})
    parts = [replace(part, gates=(gate,)) for part in parts_of(report)]
    assert merge(parts).gates[0].passed
    found = merge(parts[:2]).gates[0]
    assert not found.passed
    assert found.text.startswith("1 of 4 runs are missing; ")


def test_reports_that_overlap_are_no_parts(report):
    with pytest.raises(ReportsOverlap, match="two reports tell of"):
        merge([report, report])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "there is no such file"),
        ("{", "Expecting"),
        ("[]", "found list"),
        ('{"schema": "looplet-session-report/2"}', "found looplet-session-report/2"),
        ('{"schema": "looplet-session-report/1"}', "damaged"),
        ('{"schema": "looplet-session-report/1", "evals": [1], "timing": 3}', "damaged"),
    ],
)
def test_CL_02_a_file_that_is_no_report_says_so(content, why, tmp_path):
    path = tmp_path / "r.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ReportUnreadable, match=why):
        read_report(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("blame", []),
        ("blame", "\x1b[2J"),
        ("standing", "<b>"),
        ("standing", None),
        ("score", "1"),
        ("metrics", {"a": "x"}),
        ("order", {}),
        ("case", 1),
    ],
)
def test_CL_02_a_row_with_a_field_of_another_type_is_damaged(report, field, value, tmp_path):
    content = json.loads(report.to_json())
    content["evals"][0][field] = value
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(ReportUnreadable, match=rf"damaged, TypeError: {field} of a row is"):
        read_report(tmp_path / "r.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("problems", [None]),
        ("remarks", [1]),
        ("required", [[]]),
        ("planned", {"evals/eval_a.py::eval_a": None}),
        ("spared", {"evals/eval_a.py::eval_a": "2"}),
        ("exit_status", 1e999),
        ("gates", [{"module": "m", "eval": "e", "passed": True, "text": "", "demands": {"a": 1}}]),
        ("gates", [{"module": "m", "eval": "e", "passed": True, "text": "", "demands": {"confidence": "x"}}]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_CL_02_a_list_with_entries_of_another_type_is_damaged(report, field, value, tmp_path):
    content = json.loads(report.to_json()) | {field: value}
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(ReportUnreadable, match="damaged"):
        read_report(tmp_path / "r.json")


@pytest.mark.parametrize("must", [False, True])
def test_a_required_eval_that_no_part_ran_is_named(report, must):
    name = "evals/eval_b.py::eval_safe"
    parts = [
        replace(part, planned={**part.planned, name: 4}, required=(name,), exit_status=0, problems=())
        for part in parts_of(replace(report, gates=(), comparison=None))
    ]
    whole = merge(parts, require_all=must)
    line = f"required evals were left out: {name} (0 of 4 runs)"
    assert (line in whole.problems, line in whole.remarks) == (must, not must)
    assert whole.exit_status == int(must)
    one = replace(parts[0], problems=("required evals were left out: all of them",))
    assert line in merge([one, *parts[1:]]).problems
