"""Report files of real sessions: the same however they were run, and valid whatever was said."""

import json
import xml.etree.ElementTree as ET

import pytest

# Loaded here once: what an inner session loads goes with it, and half of a package would be loaded again.
import pytest_looplet.run
import pytest_looplet.scripts  # noqa: F401
from looplet.text import visible
from looplet.trajectory import Trajectory
from pytest_looplet.cli import main

pytestmark = pytest.mark.slow

EVALS = """
    def eval_shouts(ctx): return ctx.final_output["answer"] == ctx.expected
    @eval_mark(pass_rate=0.5)
    def eval_early(ctx): return ctx.expected in ("HELLO0", "HELLO1", "HELLO2")
    def eval_score(ctx): return 0.25
"""
CASES = "\n".join(f"- {{id: c{n}, task: hello{n}, expected: HELLO{n}}}" for n in range(6))

TESTS = """
    import pytest

    @pytest.mark.parametrize("n", range(3))
    def test_it(looplet_script, looplet_run, n):
        run = looplet_run(f"task {n}", llm=looplet_script("hello"), tools=[])
        assert run.completed
"""


def timeless(text: str) -> str:
    content = json.loads(text)
    assert content.pop("timing")
    return json.dumps(content, sort_keys=True)


@pytest.fixture
def mixed(suite):
    suite.cases(CASES)
    suite.evals(EVALS)
    (suite.pytester.path / "test_agent.py").write_text("\n".join(line[4:] for line in TESTS.splitlines()))
    return suite


def test_PP_02_the_report_is_the_same_under_xdist_and_from_three_merged_shards(mixed, capsys):
    path = mixed.pytester.path
    mixed.run("evals", "test_agent.py", "--looplet-report=whole.json")
    mixed.run("evals", "test_agent.py", "-p", "xdist", "-n2", "--looplet-report=spread.json")
    for number, selected in enumerate(("c0 or c1", "c2 or c3", "c4 or c5")):
        chosen = f"({selected}) or gate or (test_it and {number})"
        mixed.run("evals", "test_agent.py", f"--looplet-report=part{number}.json", "-k", chosen)
    parts = [str(path / f"part{number}.json") for number in (2, 0, 1)]
    assert main(["report", "merge", *parts, "-o", str(path / "merged.json")]) == 0
    whole = timeless((path / "whole.json").read_text())
    assert timeless((path / "spread.json").read_text()) == whole
    assert timeless((path / "merged.json").read_text()) == whole
    content = json.loads(whole)
    assert [row["case"] for row in content["evals"]] == [f"c{n}" for n in range(6)] * 3
    assert [(gate["eval"], gate["passed"]) for gate in content["gates"]] == [("eval_early", True)]
    assert len(content["tests"]) == 3
    assert len(content["runs"]) == 9


CHANGED = """
    from dataclasses import replace
    from looplet.types import Usage

    @pytest.fixture
    def looplet_agent(looplet_trial):
        def run(case):
            number = int(case.id[1])
            steps = shout(case).steps * (1 + EXTRA * (number % 2) * looplet_trial)
            steps = tuple(replace(step, number=n) for n, step in enumerate(steps, 1))
            used = Usage(100 * (1 + EXTRA * number), looplet_trial)
            return replace(
                shout(case), steps=steps, usage=used, cost_usd=0.01 * looplet_trial,
                metadata={"cassette": f"cassettes/agent-{case.id}.looplet.yaml"},
            )
        return run
"""


def test_PP_02_so_are_its_baseline_and_what_departs_from_a_recording(mixed, capsys):
    path = mixed.pytester.path
    options = ["evals", "--looplet-baseline=base.json", "--looplet-trials=2"]
    mixed.agent(CHANGED.replace("EXTRA", "0"))
    mixed.run(*options, "--looplet-accept")
    mixed.agent(CHANGED.replace("EXTRA", "1"))
    Trajectory(stop_reason="max_steps").save(path / "cassettes" / "agent-c3.run.json")
    mixed.evals(EVALS.replace('ctx.expected == "HELLO', 'ctx.expected != "HELLO').replace("0.25", "0.5"))
    mixed.run(*options, "--looplet-report=whole.json")
    mixed.run(*options, "-p", "xdist", "-n2", "--looplet-report=spread.json")
    for number, selected in enumerate(("c0 or c1", "c2 or c3", "c4 or c5")):
        mixed.run(*options, f"--looplet-report=part{number}.json", "-k", f"({selected}) or gate")
    parts = [str(path / f"part{number}.json") for number in (1, 2, 0)]
    main(["report", "merge", *parts, "-o", str(path / "merged.json")])
    whole = timeless((path / "whole.json").read_text())
    assert timeless((path / "spread.json").read_text()) == whole
    assert timeless((path / "merged.json").read_text()) == whole
    content = json.loads(whole)
    assert sorted(content["baseline"]["differences"]) == [
        f"evals/eval_a.py::c{number}#{trial}" for number in (1, 3, 5) for trial in (1, 2)
    ]
    moved = {
        (one["case"][-2:], one["figure"])
        for one in content["baseline"]["spent"]
        if one["after"] > one["before"]
    }
    assert moved == {(f"c{n}", "tokens") for n in range(1, 6)} | {(f"c{n}", "steps") for n in (1, 3, 5)}
    assert sorted(content["departures"]) == ["evals/eval_a.py::c3#1", "evals/eval_a.py::c3#2"]
    main(["report", "show", str(path / "merged.json"), "-o", str(path / "merged.html")])
    page, told = (path / "merged.html").read_text(encoding="utf-8"), capsys.readouterr().out
    assert page.count("Changes against the recording") == 2
    assert page.count("Changes against the baseline") == 6
    assert "changed evals/eval_a.py::c1: tokens 101.5 -> 201.5 (+99%), tolerance 25%" in told


def test_all_forms_of_one_session(mixed):
    files = [f"--looplet-report=out/r{end}" for end in (".json", ".html", ".md")]
    result = mixed.run("evals", *files)
    result.stdout.fnmatch_lines(["looplet: wrote *r.html"])
    html = (mixed.pytester.path / "out" / "r.html").read_text(encoding="utf-8")
    assert "15 of 18 evals green" in html
    assert "15 of 18 evals green" in (mixed.pytester.path / "out" / "r.md").read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_is_red_and_says_so(mixed):
    (mixed.pytester.path / "r.html").mkdir()
    result = mixed.run("evals", "-k", "score", "--looplet-report=r.html")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["looplet: cannot write *r.html*"])


def test_annotations_only_in_a_workflow(mixed, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    mixed.run("evals").stdout.no_fnmatch_line("::*")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(mixed.pytester.path.parent))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(mixed.pytester.path / "summary.md"))
    mixed.evals(EVALS.replace("pass_rate=0.5", "pass_rate=0.9"))
    result = mixed.run("evals")
    line = f"::error file={mixed.pytester.path.name}/evals/eval_a.py,line=?,title=gate eval_early::*"
    result.stdout.fnmatch_lines([line])
    assert (mixed.pytester.path / "summary.md").read_text(encoding="utf-8").startswith("## ✗ looplet: ")


def test_PP_03_PP_04_every_character_of_the_plane_in_everything_that_is_said(suite):
    suite.agent("""
        EVERYTHING = "".join(map(chr, range(0x10000))) + "🦜"

        @pytest.fixture
        def looplet_agent():
            def run(case):
                print(EVERYTHING.encode("utf-8", "replace").decode())
                step = Step(1, ToolCall("done", {"answer": EVERYTHING}), ToolResult("done", "", EVERYTHING))
                said = {"a": EVERYTHING}
                return Trajectory(task=EVERYTHING, steps=(step,), stop_reason="done", final_output=said)
            return run
    """)
    suite.evals("""
        from looplet.evals import EvalResult
        def eval_label(ctx): return ctx.final_output["a"]
        def eval_wrong(ctx):
            assert not ctx.final_output["a"], ctx.final_output["a"]
        def eval_said(ctx): return EvalResult("said", 0.0, "fail", explanation=ctx.final_output["a"])
    """)
    files = [f"--looplet-report=r{end}" for end in (".json", ".html", ".md")]
    result = suite.run("--junitxml=j.xml", "-o", "junit_logging=all", *files)
    assert not {c for c in "".join(result.outlines) if visible(c) != c}
    path = suite.pytester.path
    root = ET.parse(path / "j.xml").getroot()
    cases = list(root.iter("testcase"))
    assert len(cases) == 6
    said = {(p.get("name"), p.get("value")) for p in root.iter("property")}
    assert {("looplet_score", "0.0"), ("looplet_standing", "failed"), ("looplet_blame", "agent")} <= said
    assert [value for name, value in said if name == "looplet_label" and value and value.endswith("🦜")]
    assert "🦜" in "".join(root.itertext())
    assert json.loads((path / "r.json").read_text(encoding="utf-8"))["runs"]
    page = (path / "r.html").read_text(encoding="utf-8")
    assert not {c for c in page if c != "\n" and c != "\t" and visible(c) != c}


def test_PP_04_why_an_eval_was_skipped_or_tolerated_is_shown_escaped(suite):
    suite.evals("""
        from looplet.evals import EvalResult
        EVIL = "x\\n::error::y\\n##[error]z\\x1b[2J\\u202e"
        def eval_skipped(ctx): pytest.skip(EVIL)
        @eval_mark(pass_rate=0.0)
        def eval_tolerated(ctx): return EvalResult(score=0.0, label="fail", explanation=EVIL)
        @eval_mark(pass_rate=0.0)
        def eval_asserted(ctx): assert False, EVIL
    """)
    result = suite.run()
    result.assert_outcomes(skipped=2, xfailed=4, passed=2)
    assert not {c for c in "".join(result.outlines) if visible(c) != c}
    assert not [line for line in result.outlines if line.startswith(("::", "##["))]


def test_PP_03_half_a_character_reaches_the_report_from_a_worker_of_xdist(suite):
    suite.evals("""
        def eval_label(ctx): return "half \\ud800"
        def eval_wrong(ctx): assert ctx is None, "half \\udfff"
    """)
    result = suite.run("-p", "xdist", "-n2", "--looplet-report=r.json")
    result.assert_outcomes(passed=2, failed=2)
    rows = json.loads((suite.pytester.path / "r.json").read_text(encoding="utf-8"))["evals"]
    assert rows[0]["label"] == "half \\ud800"
    assert "half \\udfff" in rows[-1]["reason"]


def test_a_run_that_departs_from_the_accepted_one_is_shown_beside_it(suite):
    suite.evals("def eval_a(ctx): return True")
    assert suite.run("--looplet-baseline=base.json", "--looplet-accept").ret == 0
    suite.agent("""
        @pytest.fixture
        def looplet_agent():
            return lambda case: shout(case)[:0] if case.id == "two" else shout(case)
    """)
    assert (
        suite.run("--looplet-baseline=base.json", "--looplet-report=r.html", "--looplet-report=r.json").ret
        == 0
    )
    path = suite.pytester.path
    differences = json.loads((path / "r.json").read_text())["baseline"]["differences"]
    assert list(differences) == ["evals/eval_a.py::two#1"]
    assert differences["evals/eval_a.py::two#1"][0] == (
        "the first difference is at step 1: done is only in the baseline run"
    )
    assert "Changes against the baseline" in (path / "r.html").read_text(encoding="utf-8")


def test_other_plugins_are_handed_the_report(suite):
    suite.evals("def eval_a(ctx): return True")
    suite.agent("""
        @pytest.fixture
        def looplet_agent():
            return shout

        def pytest_looplet_report(config, report):
            print("handed", [row.case for row in report.evals], config.rootpath.is_dir())
    """)
    suite.run().stdout.fnmatch_lines(["*handed *one*two* True"])
