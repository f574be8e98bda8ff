"""`--dist=each` runs everything in every process: what only one of them can write is refused."""

import pytest

pytestmark = pytest.mark.slow

EACH = ("-p", "xdist", "-p", "no:cacheprovider", "--tx=2*popen", "--dist=each")
EVALS = """
import pytest
from looplet import Trajectory

looplet_cases = [{"id": "one", "task": "hello"}]

@pytest.fixture
def looplet_agent():
    return lambda case: Trajectory(task=case.task)

def eval_it(ctx):
    return True
"""
SCRIPTED = """
from looplet.testing import call

def test_it(looplet_run, looplet_script):
    assert looplet_run("go", tools=[], llm=looplet_script(call("done", answer="x"))).completed
"""


def test_tests_of_agents_run_in_each(pytester):
    pytester.makepyfile(SCRIPTED)
    pytester.runpytest(*EACH).assert_outcomes(passed=2)


def test_evals_are_refused_and_told_why(pytester):
    (pytester.mkdir("evals") / "eval_a.py").write_text(EVALS)
    result = pytester.runpytest(*EACH, "evals")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "evals/eval_a.py: with --dist=each every environment judges the same cases, and the last *",
            "Run pytest once for each environment, with -n or without",
        ]
    )
    pytester.runpytest("-p", "xdist", "-p", "no:cacheprovider", "-n2", "evals").assert_outcomes(passed=1)


WRITES = {
    "--looplet-report": "--looplet-report=r.json",
    "--looplet-save-runs": "--looplet-save-runs=saved",
    "--looplet-baseline": "--looplet-baseline=b.json",
    "a recording": "--looplet-record",
}


@pytest.mark.parametrize(("told", "option"), WRITES.items(), ids=WRITES)
def test_what_each_would_overwrite_is_refused(told, option, pytester):
    pytester.makepyfile(SCRIPTED)
    result = pytester.runpytest(*EACH, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: --dist=each runs everything in every environment, and {told} would *"]
    )
