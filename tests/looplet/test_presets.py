"""Prepared agents: what they are made of, that they run, and that their rules hold."""

import pytest

import looplet
from looplet import (
    AgentPreset,
    BaseToolRegistry,
    PermissionEngine,
    PermissionHook,
    StaticMemorySource,
    ThresholdCompactHook,
    ToolCall,
    ToolResult,
    coding_agent_preset,
    minimal_preset,
    research_agent_preset,
    run_loop,
    tool,
)
from looplet.errors import ConfigError
from looplet.presets import RULES, RULES_UNCONFINED, TestsFirst, workspace_permissions
from looplet.testing import ScriptedChatBackend, call, calls
from looplet.workspace import confinement

TOOLS = ["bash", "read", "write", "edit", "glob", "grep", "think", "done"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "a.py").write_text("x = 1\n")
    return tmp_path / "ws"


def run(agent, *script):
    return run_loop(
        ScriptedChatBackend(*script),
        task="look",
        tools=agent.tools,
        hooks=agent.hooks,
        config=agent.config,
        state=agent.state,
    )


def test_a_coding_agent(folder):
    agent = coding_agent_preset(folder, max_steps=7, context_window=10_000)
    assert isinstance(agent, AgentPreset)
    assert agent.tools.tool_names == TOOLS
    assert [type(hook) for hook in agent.hooks] == [PermissionHook, TestsFirst, ThresholdCompactHook]
    assert (agent.config.max_steps, agent.state.max_steps) == (7, 7)
    budget = agent.hooks[-1].budget
    assert (budget.context_window, budget.warning_at, budget.error_at) == (10_000, 6_000, 8_000)
    assert [type(source) for source in agent.config.memory_sources] == [StaticMemorySource]
    assert agent.config.workspace_root == str(folder)
    assert "pytest" in agent.config.system_prompt


def test_a_research_agent(folder):
    agent = research_agent_preset(folder)
    assert agent.tools.tool_names == TOOLS
    assert [type(hook) for hook in agent.hooks] == [PermissionHook, ThresholdCompactHook]
    assert (agent.config.max_steps, agent.config.concurrent_dispatch) == (30, True)
    script = (
        calls(call("grep", pattern="x ="), call("read", file_path="a.py")),
        call("done", summary="a.py:1"),
    )
    done = run(agent, *script)
    assert (done.stop_reason, done.final_output) == ("done", {"summary": "a.py:1"})
    assert done.steps[0].tool_result.data["matches"] == ["a.py:1:x = 1"]


def test_tests_are_not_required_where_they_are_not_wanted(folder):
    agent = coding_agent_preset(folder, require_tests=False, system_prompt="mine")
    assert not any(isinstance(hook, TestsFirst) for hook in agent.hooks)
    assert agent.config.system_prompt == "mine"


def test_the_least_agent():
    agent = minimal_preset()
    assert (agent.tools.tool_names, agent.hooks, agent.permissions) == (["done"], [], None)
    assert (agent.config.max_steps, agent.config.system_prompt) == (10, "You are a helpful assistant.")
    assert run(agent, "Hello.").final_output == {"answer": "Hello."}


@tool
def look() -> str:
    """Look."""
    return "seen"


@tool(name="done")
def own_done(verdict: str) -> str:
    """Finish."""
    return verdict


def test_the_least_agent_with_tools_of_its_own():
    given = BaseToolRegistry()
    given.register(look)
    assert minimal_preset(tools=given).tools.tool_names == ["look", "done"]
    assert given.tool_names == ["look"]
    assert minimal_preset(tools=[look, own_done]).tools.tool_names == ["look", "done"]
    assert minimal_preset(tools=[own_done]).tools._tools["done"].parameter_names() == ["verdict"]


def test_permissions_are_on_by_default(folder):
    agent = coding_agent_preset(folder, require_tests=False)
    script = [
        call("write", file_path="../evil", content="x"),
        call("bash", command="touch new"),
        call("bash", command="cat a.py"),
        call("write", file_path="b.py", content="y = 2\n"),
        call("done", summary="ok"),
    ]
    done = run(agent, *script)
    assert [s.tool_result.error_kind == "permission_denied" for s in done.steps] == [True, True, *[False] * 3]
    assert sorted(path.name for path in folder.iterdir()) == ["a.py", "b.py"]
    assert len(agent.permissions.audit) == 5
    assert not (folder.parent / "evil").exists()


def test_rules_of_one_s_own_take_the_place(folder):
    rules = PermissionEngine().allow("read")
    agent = coding_agent_preset(folder, permissions=rules)
    assert agent.permissions is rules
    with pytest.raises(ConfigError, match="give the handler to the engine"):
        coding_agent_preset(folder, permissions=rules, ask_handler=lambda call, rule: "allow")


def test_a_person_can_be_asked(folder):
    asked = []

    def person(asked_call, rule):
        asked.append(asked_call.args["command"])
        return "allow"

    agent = coding_agent_preset(folder, require_tests=False, ask_handler=person)
    run(agent, call("bash", command="touch new"), call("bash", command="ls"), call("done", summary="ok"))
    assert asked == ["touch new"]
    assert (folder / "new").exists()


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        coding_agent_preset(tmp_path / "none")


VERDICTS = {
    "look": ("bash", {"command": "ls -la src && cat a.py | head -5"}, "allow", "allow"),
    "status": ("bash", {"command": "git status --short"}, "allow", "allow"),
    "tests": ("bash", {"command": "python -m pytest -q"}, "allow", "deny"),
    "tests, then look": ("bash", {"command": "pytest -x && git diff"}, "allow", "deny"),
    "other programs": ("bash", {"command": "make"}, "deny", "deny"),
    "a program that begins the same": ("bash", {"command": "pytest-evil"}, "deny", "deny"),
    "a test report outside": ("bash", {"command": "pytest --junitxml=/tmp/x"}, "deny", "deny"),
    "a glob": ("glob", {"pattern": "src/**/*.py"}, "allow", "allow"),
    "a glob that leaves": ("glob", {"pattern": "../*"}, "deny", "deny"),
    "a glob elsewhere": ("glob", {"pattern": "*", "path": "/etc"}, "deny", "deny"),
    "grep": ("grep", {"pattern": "--help"}, "allow", "allow"),
    "grep elsewhere": ("grep", {"pattern": "x", "path": ".."}, "deny", "deny"),
    "read": ("read", {"file_path": "a.py"}, "allow", "allow"),
    "read elsewhere": ("read", {"file_path": "/etc/passwd"}, "deny", "deny"),
    "write git's files": ("write", {"file_path": ".git/hooks/pre-commit", "content": "x"}, "deny", "deny"),
    "edit git's files": (
        "edit",
        {"file_path": "src/../.git/config", "old_string": "a", "new_string": "b"},
        "deny",
        "deny",
    ),
    "think": ("think", {"analysis": "hm"}, "allow", "allow"),
    "another tool": ("deploy", {}, "deny", "deny"),
}


@pytest.mark.parametrize(("name", "args", "confined", "unconfined"), VERDICTS.values(), ids=VERDICTS)
def test_the_rules_say(folder, name, args, confined, unconfined):
    for file, verdict in ((RULES, confined), (RULES_UNCONFINED, unconfined)):
        engine = workspace_permissions(folder, rules=file)
        assert engine.evaluate(ToolCall(name, args)).decision.value == verdict, engine.denials


def test_which_rules_count_depends_on_the_system(folder):
    engine = workspace_permissions(folder)
    expected = "allow" if confinement() else "deny"
    assert engine.evaluate(ToolCall("bash", {"command": "pytest"})).decision.value == expected
    assert engine.evaluate_done(ToolCall("done", {"summary": "x"})).allowed


RUNS = {
    "pytest": ("pytest -q", 0, True),
    "a module": ("python -m pytest tests/test_a.py", 0, True),
    "by its path": ("git status && .venv/bin/pytest", 0, True),
    "unittest": ("python -m unittest", 0, True),
    "failed": ("pytest -q", 1, False),
    "a pipe hides it": ("pytest | tail", 0, False),
    "or": ("pytest || true", 0, False),
    "a list": ("pytest; echo", 0, False),
    "its settings": ("cat pytest.ini", 0, False),
    "another program": ("pytest-evil", 0, False),
    "turned round": ("! pytest", 0, False),
    "in the background": ("pytest & true", 0, False),
    "after something": ("ruff check . && X=1 uv run pytest -q", 0, True),
    "its name is said": ("echo pytest", 0, False),
    "its name is looked for": ("grep -r pytest .", 0, False),
    "no test is run": ("python -m pytest --collect-only -q", 0, False),
    "none": ("ls", 0, False),
}


@pytest.mark.parametrize(("command", "code", "passed"), RUNS.values(), ids=RUNS)
def test_done_waits_for_tests_that_pass(command, code, passed):
    hook = TestsFirst()
    result = ToolResult("bash", "", {"exit_code": code, "stdout": ""})
    hook.post_dispatch(None, None, ToolCall("bash", {"command": command}), result, 1)
    assert (hook.check_done(None, None, None, 2) is None) == passed
    again = TestsFirst()
    again.load_state(hook.save_state())
    assert again.passed == passed


@pytest.mark.parametrize(
    ("later", "passed"),
    [
        (("bash", {"command": "pytest"}, {"exit_code": 1}), False),
        (("edit", {"file_path": "a.py"}, {"path": "a.py"}), False),
        (("edit", {"file_path": "a.py"}, {"error": "not found", "remediation": "look"}), True),
        (("bash", {"command": "git diff"}, {"exit_code": 0}), True),
        (("read", {"file_path": "a.py"}, {"content": ""}), True),
    ],
    ids=["a failure", "a change", "a change that was refused", "a look", "reading"],
)
def test_what_comes_after_a_test_run_counts(later, passed):
    hook = TestsFirst()
    for name, args, data in (("bash", {"command": "pytest"}, {"exit_code": 0}), later):
        hook.post_dispatch(None, None, ToolCall(name, args), ToolResult(name, "", data), 1)
    assert hook.passed == passed


def test_results_of_other_shapes_are_no_test_run():
    hook = TestsFirst()
    for data in (None, "0", [0], {"error": "killed"}):
        hook.post_dispatch(
            None, None, ToolCall("bash", {"command": "pytest"}), ToolResult("bash", "", data), 1
        )
    hook.post_dispatch(
        None, None, ToolCall("read", {"command": "pytest"}), ToolResult("read", "", {"exit_code": 0}), 1
    )
    assert not hook.passed


def test_the_names_are_in_the_window():
    assert looplet.AgentPreset is AgentPreset
    assert {"coding_agent_preset", "research_agent_preset", "minimal_preset"} <= set(looplet.__all__)
