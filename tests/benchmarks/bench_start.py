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


def test_importing_the_window(timed, python):
    work = {"floor": python("-c", "pass"), "ours": python("-c", "import looplet")}
    timed("python -c 'import looplet', over python -c pass", work, target=1.3)


def test_importing_the_loop(timed, python):
    statement, nothing = "from looplet import composable_loop", python("-c", "pass")
    work = {"floor": nothing, "ours": python("-c", statement), "base": nothing}
    timed(f"what '{statement}' adds, over python -c pass", work, target=4.5)


def test_an_empty_pytest_run(timed, a_pytest, suite):
    work = {
        "floor": a_pytest("test_one.py", folder=suite, plugin=False),
        "ours": a_pytest("test_one.py", folder=suite, plugin=True),
    }
    timed("pytest on one test with the plugin, over without", work, target=1.08, rounds=25)


def test_a_test_that_does_not_use_the_plugin(timed, a_pytest, suite):
    work = {
        "floor": a_pytest("test_many.py", folder=suite, plugin=False),
        "floor_base": a_pytest("test_one.py", folder=suite, plugin=False),
        "ours": a_pytest("test_many.py", folder=suite, plugin=True),
        "base": a_pytest("test_one.py", folder=suite, plugin=True),
    }
    title = "a test that uses none of it with the plugin, over without"
    timed(title, work, per=TESTS, target=1.15, rounds=5)
