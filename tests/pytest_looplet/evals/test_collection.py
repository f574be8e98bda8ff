"""Which files and functions become items, under which names, over which cases."""

import pytest

pytestmark = pytest.mark.slow


def names(result: pytest.RunResult) -> list[str]:
    return [line.split("::", 1)[1] for line in result.outlines if "::" in line and line.startswith("evals/")]


def test_one_item_for_each_eval_and_case(suite):
    suite.evals("""
        def eval_right(ctx):
            return ctx.expected == ctx.final_output["answer"]
        def eval_short(ctx):
            assert ctx.step_count == 1
            return True
    """)
    result = suite.run("--collect-only", "-q")
    assert names(result) == ["eval_right[one]", "eval_short[one]", "eval_right[two]", "eval_short[two]"]
    assert suite.runs == []
    suite.run().assert_outcomes(passed=4)
    assert suite.runs == ["one", "two"]


def test_what_the_file_defines_is_collected_and_nothing_else(suite):
    (suite.folder / "helpers.py").write_text("def eval_imported(ctx): return True\n")
    suite.evals("""
        from helpers import eval_imported
        from looplet import eval_run

        def loud(f):
            def inner(ctx): return f(ctx)
            return inner

        def made():
            def check(ctx): return True
            return check

        @loud
        def eval_wrapped(ctx): return True
        eval_made = made()
        class eval_class: pass
        eval_number = 3
        def helper(ctx): return False
        def test_plain(): pass
        @pytest.fixture
        def eval_fixture(): pass
    """)
    found = names(suite.run("--collect-only", "-q", "-k", "one or plain"))
    assert found == ["eval_wrapped[one]", "eval_made[one]", "test_plain"]


@pytest.mark.parametrize(
    ("options", "collected"),
    [((), False), (("eval_stranger.py",), True), (("-o", "looplet_eval_paths=eval_str*.py"), True)],
    ids=["a stranger's script", "named on the command line", "matched by looplet_eval_paths"],
)
def test_a_script_elsewhere_is_imported_only_when_asked_for(options, collected, suite):
    suite.evals("def eval_ours(ctx): return True")
    stranger = (
        "from pathlib import Path\nPath('imported').touch()\nlooplet_cases=[{'id': 'x', 'task': 't'}]\n"
    )
    (suite.pytester.path / "eval_stranger.py").write_text(f"{stranger}def eval_x(ctx): return True\n")
    result = suite.run(*options)
    assert result.ret == 0
    assert (suite.pytester.path / "imported").exists() is collected
    assert ("eval_x[x]" in result.stdout.str()) is collected


def test_a_pattern_of_the_users_own_goes_on_to_hold(suite):
    suite.evals("def eval_ours(ctx): return True")
    (suite.pytester.path / "eval_old_style.py").write_text("def test_theirs(): pass\n")
    result = suite.run("-o", "python_files=eval_old*.py test_*.py")
    result.stdout.fnmatch_lines(["PASSED eval_old_style.py::test_theirs"])
    result.assert_outcomes(passed=3)


def test_asserts_are_rewritten_in_evals(suite):
    suite.evals("""
        def eval_detail(ctx):
            assert ctx.final_output["answer"] == "OTHER"
    """)
    suite.run("-k", "one").stdout.fnmatch_lines(["E * assert 'HELLO' == 'OTHER'"])


def test_selection_is_pytests_own(suite):
    suite.evals("""
        @eval_mark("tone")
        def eval_tone(ctx): return True
        def eval_other(ctx): return True
    """)
    assert names(suite.run("--collect-only", "-q", "-m", "tone")) == ["eval_tone[one]", "eval_tone[two]"]
    assert names(suite.run("--collect-only", "-q", "-m", "hard and not tone")) == ["eval_other[two]"]
    assert names(suite.run("--collect-only", "-q", "evals/eval_a.py::eval_tone[two]")) == ["eval_tone[two]"]
    result = suite.run("evals/eval_a.py::eval_tone[two]")
    result.assert_outcomes(passed=1)
    assert suite.runs == ["two"]


def test_fixtures_of_any_scope_and_parametrize_work_in_evals(suite):
    suite.evals("""
        @pytest.fixture(scope="module")
        def limit(): return 3

        @pytest.mark.parametrize("factor", [1, 2])
        def eval_limits(ctx, limit, factor, tmp_path, monkeypatch):
            return ctx.step_count * factor <= limit
    """)
    result = suite.run()
    result.assert_outcomes(passed=4)
    assert suite.runs == ["one", "two"]


def test_ctx_and_llm_exist_in_eval_files_only(suite):
    suite.evals("def eval_ours(ctx): return True")
    suite.pytester.makepyfile(test_plain="def test_plain(ctx): pass")
    result = suite.run()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*fixture 'ctx' not found"])


ASYNC_PLUGINS = ("-p", "anyio.pytest_plugin", "-p", "pytest_asyncio.plugin")
ASYNC_PLUGINS += ("-o", "asyncio_default_fixture_loop_scope=function")


def test_async_evals_run_without_and_with_an_async_plugin(suite):
    suite.evals("""
        import asyncio
        async def eval_plain(ctx):
            await asyncio.sleep(0)
            return True
        @pytest.mark.asyncio(loop_scope="function")
        async def eval_marked(ctx):
            await asyncio.sleep(0)
            return 0.5
        @pytest.mark.anyio
        async def eval_anyio(ctx):
            return ctx.step_count == 2
        @pytest.fixture
        def anyio_backend(): return "asyncio"
    """)
    result = suite.run("-k", "one", *ASYNC_PLUGINS)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*eval_anyio* the eval returned False"])


CASE_FILES = {  # name, content, ids
    "JSON": (
        "cases.json",
        '[{"id": "a", "task": "t"},\n {"id": "b", "task": {"ask": 1}, "expected": 2}]',
        ["a", "b"],
    ),
    "JSON lines": ("cases.jsonl", '{"id": "a", "task": "t"}\n\n{"id": "b", "task": "u"}\n', ["a", "b"]),
    "one YAML case named by its file": ("refund.yaml", "task: hello\nexpected: {x: 1}", ["refund"]),
    "a number as id": ("c.yaml", "- {id: 7, task: t}", ["7"]),
    "ids that need care": ("c.yaml", "- {id: 'a b/ü::[x]@', task: t}", ["a b/\\xfc::[x]@"]),
}


@pytest.mark.parametrize(("name", "text", "ids"), CASE_FILES.values(), ids=CASE_FILES)
def test_cases_come_from_files(name, text, ids, suite):
    (suite.folder / "cases" / "cases.yaml").unlink()
    suite.cases(text, name)
    suite.evals("def eval_a(ctx): return ctx.task is not None")
    result = suite.run("--collect-only", "-q")
    assert names(result) == [f"eval_a[{i}]" for i in ids]
    suite.agent("@pytest.fixture\ndef looplet_agent(): return lambda case: Trajectory(task=case.task)")
    suite.run().assert_outcomes(passed=len(ids))


def test_cases_come_from_a_list(suite):
    suite.evals("""
        from looplet.evals import Case
        looplet_cases = [{"id": "x", "task": "t", "expected": 1}, Case("y", "u", expected=2)]
        def eval_a(ctx): return ctx.expected in (1, 2)
    """)
    suite.run().assert_outcomes(passed=2)
    assert suite.runs == ["x", "y"]


BROKEN_CASES = {
    "an unknown field": ("- id: a\n  task: t\n- id: b\n  taks: t", "yaml:3: unknown field 'taks'; did*"),
    "no task": ("- id: a", "cases.yaml:1: the case has no task"),
    "no id": ("- task: a", "cases.yaml:1: the case has no id"),
    "an id twice": ("- {id: a, task: t}\n- {id: a, task: u}", "cases.yaml:2: the id 'a' is taken by*:1"),
    "a key twice": ("- id: a\n  task: t\n  task: u", "cases.yaml:3: the key 'task' occurs twice"),
    "not YAML": ("- id: a\n  task: [", "cases.yaml:"),
    "an empty file": ("", "cases.yaml: the file is empty"),
    "tags that are a text": ("- {id: a, task: t, tags: x}", "tags must be a list, not str 'x'"),
    "a file outside": ("- {id: a, task: t, files: {../x: y}}", "'../x' must lie below the workspace"),
    "a tag with a meaning": ("- {id: a, task: t, tags: [skip]}", "the tag 'skip' means something"),
    "a case that reads like a trial": ("- {id: a, task: t}\n- {id: a-trial2, task: t}", "a-trial2*rename it"),
    "an object": ("- !!python/object/apply:os.system ['touch hacked']", "cases.yaml:1"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line"), BROKEN_CASES.values(), ids=BROKEN_CASES)
def test_a_broken_case_is_an_error_with_file_and_line(text, line, suite):
    suite.cases(text)
    suite.evals("def eval_a(ctx): return True")
    result = suite.run("--looplet-trials=2")
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*{line}*"])
    assert not (suite.pytester.path / "hacked").exists()


def test_without_cases_and_runs_the_error_says_how_to_give_either(suite):
    (suite.folder / "cases" / "cases.yaml").unlink()
    suite.evals("def eval_a(ctx): return True")
    result = suite.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["*nothing to judge*", "*evals/cases*", "*looplet_agent*", "*--looplet-runs=DIR*"]
    )


@pytest.mark.parametrize("source", ["import missing_module", "def (", "1 / 0"])
def test_EV_03_a_file_that_does_not_import_is_a_collection_error(source, suite):
    suite.evals(source)
    result = suite.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["ERROR evals/eval_a.py*"])


def test_an_eval_without_ctx_is_a_collection_error(suite):
    suite.evals("def eval_a(): return True")
    result = suite.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*eval_a.py::eval_a: an eval takes the run as its argument ctx*"])


def test_without_looplet_agent_the_error_shows_one(suite):
    suite.agent("")
    suite.evals("def eval_a(ctx): return True")
    result = suite.run("-k", "one")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*evals need to know how a case is run*", "*def looplet_agent(looplet_run):*"]
    )
