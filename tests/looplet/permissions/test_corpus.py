"""Every row of the corpus gets its verdict: from the engine, and from a run in both loops."""

import asyncio

import pytest

from looplet import (
    BaseToolRegistry,
    HookDecision,
    LifecycleEvent,
    LoopConfig,
    PermissionHook,
    ToolSpec,
    async_composable_loop,
    composable_loop,
)
from looplet.testing import AsyncScriptedChatBackend, ScriptedChatBackend, call, calls
from tests.looplet.permissions.corpus import ROWS, build_workspace, calls_of, engine_of, filled

LOOP_ONLY = {"F-054", "F-057"}
"""Rows about other hooks, of which the engine alone knows nothing."""


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return build_workspace(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("row", [r for r in ROWS if r["id"] not in LOOP_ONLY], ids=lambda row: row["id"])
def test_the_engine_gives_the_verdict(row, places):
    row = filled(row, places)
    engine, person = engine_of(row["rules"])
    asked = calls_of(row)
    before = [repr(one) for one in asked]
    verdicts = [engine.evaluate(one).decision.value for one in asked]
    assert row["expected"] in ("any", verdicts[-1]), engine.denials
    assert [repr(one) for one in asked] == before
    assert len(engine.denials) == verdicts.count("deny")
    assert len(engine.audit) == len(asked)
    if "ask_calls" in row:
        assert person.asked == row["ask_calls"]
    for name in row.get("audit_fields", ()):
        assert name in engine.denials[0]


class Rewrites:
    def pre_dispatch(self, state, session_log, tool_call, step_num):
        return HookDecision(updated_args={"command": "rm -rf x"})


class Breaks:
    def on_event(self, payload):
        if payload.event is LifecycleEvent.PRE_TOOL_USE:
            raise RuntimeError("policy is broken")


AFTER = {"pre_dispatch_rewrite": Rewrites, "policy_event_raises": Breaks}


class Recorder:
    """Tools that only remember that they were called."""

    def __init__(self):
        self.ran = []
        self.registry = BaseToolRegistry()
        for name, given in (
            ("bash", ["command"]),
            ("read", ["file_path"]),
            ("write", ["file_path", "content"]),
        ):
            self.registry.register(ToolSpec(name, name, dict.fromkeys(given, "text"), self._tool(name)))
        self.registry.register(ToolSpec("done", "done", {"answer": "text"}, self._tool("done")))

    def _tool(self, name):
        def run(**kwargs):
            self.ran.append((name, kwargs))
            return "ok"

        return run


def in_a_loop(row, drive):
    engine, _ = engine_of(row["rules"])
    loop = row["rules"].get("loop", {})
    hooks = [PermissionHook(engine)]
    if "hook_after" in loop:
        hooks.append(AFTER[loop["hook_after"]]())
    tools = Recorder()
    wanted = [call(one.tool, **one.args) for one in calls_of(row)]
    script = [calls(*wanted) if len(wanted) > 1 else wanted[0], call("done", answer="ok")]
    drive(script, tools.registry, hooks)
    return tools.ran, engine


def sync_drive(script, tools, hooks):
    loop = composable_loop(
        ScriptedChatBackend(*script), task="t", tools=tools, hooks=hooks, config=LoopConfig(max_steps=2)
    )
    return list(loop)


def async_drive(script, tools, hooks):
    async def steps():
        backend, config = AsyncScriptedChatBackend(*script), LoopConfig(max_steps=2)
        loop = async_composable_loop(backend, task="t", tools=tools, hooks=hooks, config=config)
        return [step async for step in loop]

    return asyncio.run(steps())


@pytest.mark.parametrize("drive", [sync_drive, async_drive], ids=["sync", "async"])
@pytest.mark.parametrize("row", [r for r in ROWS if r["id"] in LOOP_ONLY], ids=lambda row: row["id"])
def test_the_loop_gives_the_verdict(row, drive, places):
    ran, _ = in_a_loop(filled(row, places), drive)
    wanted = [one.args for one in calls_of(row)]
    assert row["expected"] == "deny"
    assert [kwargs for name, kwargs in ran if name != "done"] == []
    assert len(wanted) == 1


def test_no_row_of_the_corpus_is_left_out():
    assert len(ROWS) == 178
    assert {row["id"] for row in ROWS} >= LOOP_ONLY


SENT = [r for r in ROWS if all(isinstance(c.args, dict) and "\x00" not in repr(c.args) for c in calls_of(r))]


@pytest.mark.parametrize("drive", [sync_drive, async_drive], ids=["sync", "async"])
def test_nothing_that_is_denied_runs_in_a_loop(drive, places):
    wrong = []
    for row in SENT:
        row = filled(row, places)
        ran, engine = in_a_loop(row, drive)
        commands = [kwargs.get("command") for name, kwargs in ran if name != "done"]
        if "expect_runs" in row:
            ok = commands == row["expect_runs"]
        elif calls_of(row)[0].tool == "done":
            ok = ran == []
        else:
            ok = (
                row["expected"] == "any"
                or bool(commands) == (row["expected"] == "allow")
                or row["call"].get("tool") != "bash"
            )
        if not ok or (
            row["expected"] == "deny" and "expect_runs" not in row and any(n != "done" for n, _ in ran)
        ):
            wrong.append((row["id"], ran, [r.reason for r in engine.audit]))
    assert wrong == []
