"""A file of cases that is damaged or hostile is an error with its name, and never the end of the session."""

from __future__ import annotations

from pathlib import Path

import pytest

from looplet.evals.case import CaseError
from pytest_looplet.evals.casefiles import cases_in

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(n + 1)}: &{chr(n + 1)} [{','.join(['*' + chr(n)] * 9)}]\n" for n in range(97, 112)
)
DAMAGED = {
    "aliases of aliases": (BOMB, "aliases stand for too much"),
    "an alias to itself": ("a: &a [*a]\n", "aliases stand for too much"),
    "open lists": ("[" * 60_000, "nested too deeply"),
    "lists of lines": ("- " * 60_000 + "x", "nested too deeply"),
    "a whole number of 5,000 digits": ("task: " + "9" * 5_000, "cannot be read"),
    "a day that is none": ("task: 2001-99-99", "month must be"),
    "an hour that is none": ("task: 2001-01-01T99:99:99Z", "hour must be"),
    "a number that is none": ("task: !!int abc", "invalid literal"),
    "a float that is none": ("task: !!float abc", "could not convert"),
    "a Python object": ("task: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
    "a list as a key": ("? [a]\n: x", "unhashable key"),
    "two documents": ("task: x\n---\ntask: y\n", "another document"),
}


@pytest.mark.parametrize(("text", "told"), DAMAGED.values(), ids=DAMAGED)
def test_EV_03_a_damaged_file_of_cases_is_named(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CaseError, match=told) as caught:
        cases_in(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("ending", [".json", ".jsonl"])
def test_EV_03_a_key_that_comes_twice_in_json_is_a_mistake(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"cases{ending}"
    file.write_text('{"id": "a", "task": "x", "task": "y"}', encoding="utf-8")
    with pytest.raises(CaseError, match=r":1: the key 'task' occurs twice"):
        cases_in(file)


def test_the_ending_of_a_file_of_cases_may_be_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "a.YAML").write_text("- {id: a, task: t}")
    (tmp_path / "b.JSONL").write_text('{"id": "b", "task": "t"}\n{"id": "c", "task": "t"}\n')
    assert [case.id for case in cases_in(tmp_path)] == ["a", "b", "c"]


def test_a_line_of_cases_ends_at_a_newline_and_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(
        '{"id": "a", "task": "one\u2028two\x85three"}\r\n{"id": "b", "task": "x"}\n', encoding="utf-8"
    )
    assert [case.task for case in cases_in(file)] == ["one\u2028two\x85three", "x"]
