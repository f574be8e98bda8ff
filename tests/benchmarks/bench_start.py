"""What a Python start and a pytest start pay, in processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = 1_000


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with one test in a file, and a thousand in another."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for name, tests in (("test_one.py", 1), ("test_many.py", TESTS)):
        body = "".join(f"def test_{n}():\n    assert {n} + 1 == {n + 1}\n\n" for n in range(tests))
        (tmp_path / name).write_text(body)
    return tmp_path


@pytest.mark.parametrize("side", ["floor", "ours"])
@pytest.mark.parametrize(
    ("statement", "target"),
    [("import looplet", 1.3), ("from looplet import composable_loop", 4.5)],
    ids=["the window", "the loop"],
)
def test_importing(timed, python, side, statement, target):
    work = {"floor": python("-c", "pass"), "ours": python("-c", statement)}
    timed(f"python -c '{statement}', over python -c pass", side, work, target=target)


@pytest.mark.parametrize("side", ["floor", "ours"])
def test_an_empty_pytest_run(timed, a_pytest, side, suite):
    work = {side: a_pytest("test_one.py", folder=suite, plugin=side == "ours")}
    timed("pytest on one test with the plugin, over without", side, work, target=1.08, rounds=15)


@pytest.mark.parametrize("side", ["floor", "floor_base", "ours", "base"])
def test_a_test_that_does_not_use_the_plugin(timed, a_pytest, side, suite):
    name = "test_many.py" if side in {"ours", "floor"} else "test_one.py"
    work = {side: a_pytest(name, folder=suite, plugin=side in {"ours", "base"})}
    timed(
        "a test that uses none of it with the plugin, over without",
        side,
        work,
        per=TESTS,
        target=1.15,
        rounds=5,
    )
