"""Sessions that must be red, each in one process and in two: what says nothing is no success.

A row is the file of evals, the options, the words that tell why, and what else is there: a conftest or cases.
"""

import json

import pytest

pytestmark = pytest.mark.slow

MUST_BE_RED = {
    "all skipped": ("@pytest.mark.skip\ndef eval_x(ctx): return True", [], "not one of them judged"),
    "all skip themselves": ("def eval_x(ctx): pytest.skip('no')", [], "not one of them judged"),
    "a required eval skipped": (
        "@pytest.mark.skip\n@eval_mark(required=True)\ndef eval_x(ctx): return 1\ndef eval_y(ctx): return 1",
        [],
        "eval_x is required, but was skipped",
    ),
    "a required eval deselected": (
        "@eval_mark(required=True)\ndef eval_x(ctx): return True\ndef eval_y(ctx): return True",
        ["-k", "eval_y", "--looplet-require-all"],
        "required evals were left out",
    ),
    "a required eval that does not run as it is expected to fail": (
        "@pytest.mark.xfail(run=False)\n@eval_mark(required=True)\ndef eval_x(ctx): return 1\n"
        "def eval_y(ctx): return 1",
        [],
        "eval_x is required, but was skipped",
    ),
    "the gate of a required eval deselected": (
        "@eval_mark(required=True, min_mean=0.9)\ndef eval_x(ctx): return 0.1",
        ["-k", "not gate", "--looplet-require-all"],
        "the gate of a required eval was left out: evals/eval_a.py::eval_x",
    ),
    "a file that skips itself": (
        "pytest.importorskip('no_such_module')\n@eval_mark(required=True)\ndef eval_x(ctx): return 1",
        ["--looplet-require-all"],
        "evals/eval_a.py skipped itself",
    ),
    "files that nobody looks into": (
        "@eval_mark(required=True)\ndef eval_x(ctx): return 1",
        ["-p", "cacheprovider", "--lf", "--looplet-require-all"],
        "cannot know what --lf leaves out",
    ),
    "an eval that is no function": (
        "class Check:\n    def __call__(self, ctx): return 0\neval_x = Check()\ndef eval_y(ctx): return 1",
        [],
        "eval_x is a Check and no function",
    ),
    "an eval in a class": (
        "class TestAll:\n    def eval_x(self, ctx): return False\ndef eval_y(ctx): return 1",
        [],
        "the evals in class TestAll would not run",
    ),
    "a case of half a character": (
        "looplet_cases = [{'id': 'a\\ud800', 'task': 't'}]\ndef eval_x(ctx): return 1",
        [],
        "half characters",
    ),
    "an eval that yields": ("def eval_x(ctx): yield False\ndef eval_y(ctx): return 1", [], "eval_x yields"),
    "a zero score under a threshold": (
        "@eval_mark(threshold=0.1)\ndef eval_x(ctx): return 0",
        [],
        "score 0 is below",
    ),
    "a dict with a zero score": (
        "def eval_x(ctx): return {'score': 0.0}",
        ["--looplet-threshold=0.1"],
        "score 0 is",
    ),
    "no score under a threshold": (
        "@eval_mark(threshold=0.1)\ndef eval_x(ctx): return 'x'",
        [],
        "needs a score",
    ),
    "nothing returned": ("def eval_x(ctx): pass", [], "returned nothing"),
    "NaN": ("def eval_x(ctx): return float('nan')", [], "from 0 to 1, not nan"),
    "an empty dict": ("def eval_x(ctx): return {}", [], "returned nothing"),
    "a coroutine forgotten": (
        "import asyncio\ndef eval_x(ctx): return asyncio.Event()",
        [],
        "neither score, label",
    ),
    "a mark that contradicts itself": (
        "@eval_mark(threshold=2)\ndef eval_x(ctx): return 1",
        [],
        "threshold=2",
    ),
    "no such folder of runs": ("def eval_x(ctx): return True", ["--looplet-runs=gone"], "does not exist"),
    "no evals at all": ("def helper(ctx): return True", ["evals/eval_a.py"], "no tests ran"),
    "filters leave nothing": ("def eval_x(ctx): return True", ["-k", "nothing"], "deselected"),
    "the session stops early": ("def eval_x(ctx): return False", ["-x"], "stopping after 1"),
    "a judge that is missing": ("def eval_x(ctx, llm): return True", [], "no judge is configured"),
    "a fixture that is missing": ("def eval_x(ctx, db): return True", [], "fixture 'db' not found"),
    "a failing collector": (
        "def collect_x(ctx): 1 / 0\ndef eval_x(ctx): return True",
        [],
        "collect_x raised",
    ),
    "a mean missed": ("@eval_mark(min_mean=0.5)\ndef eval_x(ctx): return 0.4", [], "below 0.5"),
    "a score out of range": ("def eval_x(ctx): return 1.01", [], "from 0 to 1, not 1.01"),
    "a metric that is no number": (
        "def eval_x(ctx): return {'score': 1, 'tokens': float('inf')}",
        [],
        "metrics must be finite",
    ),
    "a verdict": ("def eval_x(ctx): return False", [], "the eval returned False"),
    "an eval that raises": ("def eval_x(ctx): return {}['key']", [], "KeyError: 'key'"),
    "a file that does not parse": ("def eval_x(ctx: return 1", [], "SyntaxError"),
    "a file that does not import": ("import no_such_module\ndef eval_x(ctx): return 1", [], "no_such_module"),
    "an eval without a run": ("def eval_x(): return True", [], "an eval takes the run as its argument ctx"),
    "a gate that no number of runs can open": (
        "@eval_mark(pass_rate=1, confidence=0.95)\ndef eval_x(ctx): return True",
        [],
        "the gate can never open",
    ),
    "a gate without its runs": (
        "@eval_mark(pass_rate=0.5)\ndef eval_x(ctx): return True",
        ["-k", "gate"],
        "no run of eval_x was judged",
    ),
    "a rate of nothing that was judged": (
        "@eval_mark(pass_rate=0.0)\ndef eval_x(ctx): pytest.skip('no')",
        [],
        "none of 2 runs was judged",
    ),
    "no such baseline": (
        "def eval_x(ctx): return 1",
        ["--looplet-baseline=gone.json"],
        "there is no such file",
    ),
    "a baseline whose variable is not set": (
        "def eval_x(ctx): return 1",
        ["--looplet-baseline="],
        "--looplet-baseline= is empty",
    ),
    "a baseline of another kind": (
        "def eval_x(ctx): return 1",
        ["--looplet-baseline=pytest.ini"],
        "--looplet-baseline=",
    ),
    "a threshold for nobody": (
        "def eval_x(ctx): return 1",
        ["--looplet-threshold=eval_y=0.5"],
        "no eval and no tag is called 'eval_y'",
    ),
    "a threshold for an eval without a score": (
        "def eval_x(ctx): return 'good'",
        ["--looplet-threshold=eval_x=0.5"],
        "threshold=0.5 needs a score",
    ),
    "a threshold that is none": (
        "def eval_x(ctx): return 1",
        ["--looplet-threshold=2"],
        "no number from 0 to 1",
    ),
    "no trials": ("def eval_x(ctx): return 1", ["--looplet-trials=0"], "no whole number from 1"),
    "an empty list of cases": (
        "looplet_cases = []\ndef eval_x(ctx): return 1",
        [],
        "there is nothing to judge",
    ),
    "two cases of one id": (
        "looplet_cases = [{'id': 'a', 'task': 't'}] * 2\ndef eval_x(ctx): return 1",
        [],
        "ids must be unique",
    ),
    "a case with an unknown field": (
        "looplet_cases = [{'id': 'a', 'task': 't', 'expcted': 1}]\ndef eval_x(ctx): return 1",
        [],
        "unknown field 'expcted'",
    ),
    "a judge without a grade": (
        "from looplet.evals import JudgeFailed\ndef eval_x(ctx): raise JudgeFailed('no grade')",
        [],
        "no grade",
    ),
    "a label under a rate": (
        "@eval_mark(pass_rate=0.1)\ndef eval_x(ctx): return 'good'",
        [],
        "needs a verdict",
    ),
}

AGENT = """
    @pytest.fixture
    def looplet_agent():
        {}
        return lambda case: {}
"""
BROKEN = {
    "no agent": ("", "evals need to know how a case is run"),
    "an agent that raises": (AGENT.format("", "1 / 0"), "ZeroDivisionError"),
    "an agent that returns no run": (AGENT.format("", "case.task"), "must return a Trajectory"),
    "an agent that cannot be set up": (AGENT.format("raise OSError('no disk')", "1"), "no disk"),
    "an agent that skips all cases": (AGENT.format("", "pytest.skip('later')"), "not one of them judged"),
    "a provider that fails": (
        AGENT.format(
            "from looplet.errors import ModelError", "(_ for _ in ()).throw(ModelError('quota', kind=None))"
        ),
        "quota",
    ),
    "a file of cases that is broken": (None, "cases.yaml"),
}
EACH = pytest.mark.parametrize("processes", [(), ("-p", "xdist", "-n2")], ids=["alone", "xdist"])
LAST = 40
"""Lines at the end of the output that must tell why."""


def check(result, reason):
    assert result.ret not in (0, pytest.ExitCode.INTERNAL_ERROR)
    assert reason in "\n".join([*result.outlines[-LAST:], *result.errlines])


@EACH
@pytest.mark.parametrize(("source", "options", "reason"), MUST_BE_RED.values(), ids=MUST_BE_RED)
def test_PP_06_a_session_that_must_be_red(source, options, reason, processes, suite, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    suite.evals(source)
    if processes and reason == "deselected":  # xdist does not count what its workers left out
        reason = "no tests ran"
    check(suite.run(*options, *processes), reason)


@EACH
@pytest.mark.parametrize(("agent", "reason"), BROKEN.values(), ids=BROKEN)
def test_PP_06_a_session_whose_agent_is_broken_must_be_red(agent, reason, processes, suite, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    suite.evals("def eval_x(ctx): return True")
    if agent is None:
        suite.cases("- {id: one, task: hello\n- {id")
    else:
        suite.agent(agent)
    check(suite.run(*processes), reason)


@EACH
def test_PP_06_a_regression_must_be_red(processes, suite, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    suite.evals("def eval_x(ctx): return True")
    assert suite.run("--looplet-baseline=base.json", "--looplet-accept").ret == 0
    content = json.loads((suite.pytester.path / "base.json").read_text())
    assert len(content["evals"]) == 2
    suite.evals("@eval_mark(pass_rate=0.5)\ndef eval_x(ctx): return ctx.expected == 'BYE'")
    check(suite.run("--looplet-baseline=base.json", *processes), "eval_x regressed against the baseline")


def test_there_are_enough_of_them():
    assert len(MUST_BE_RED) + len(BROKEN) >= 25
