"""Sub-agents: what they inherit, what comes back, what is told, in the sync and in the async loop."""

from __future__ import annotations

import asyncio
import functools
import time

import pytest

from looplet import (
    BaseToolRegistry,
    CancelToken,
    ConfigError,
    Conversation,
    DefaultState,
    LifecycleEvent,
    LoopConfig,
    PermissionDecision,
    PermissionEngine,
    PermissionHook,
    PermissionRule,
    ToolCall,
    Tracer,
    TracingHook,
    Trajectory,
    TrajectoryBuilder,
    TrajectoryRecorder,
    Usage,
    async_run_loop,
    async_run_sub_loop,
    run_loop,
    run_sub_loop,
    tool,
    tools_from,
)
from looplet.conversation import Message, MessageRole
from looplet.engine.scope import current_run
from looplet.subagent import clone_tools_excluding
from looplet.testing import (
    AsyncScriptedBackend,
    AsyncScriptedChatBackend,
    ScriptedBackend,
    ScriptedChatBackend,
    call,
    calls,
)
from looplet.types import ChatReply

pytestmark = pytest.mark.slow


@tool
def bash(cmd: str) -> str:
    """Run a command."""
    return f"ran {cmd}"


@tool
def look(q: str) -> str:
    """Look."""
    return q


class Listener:
    """Hears of sub-agents."""

    def __init__(self):
        self.heard = []

    def on_event(self, payload):
        if "SUBAGENT" in payload.event.name:
            self.heard.append((payload.event, payload.subagent_id, dict(payload.extra)))


def counted(name, /, **args):
    """A reply with a call that cost 10 tokens in and 2 out."""
    block = {"type": "tool_use", "id": f"id-{name}-{sorted(args.items())}", "name": name, "input": args}
    return ChatReply([block], "tool_use", "model-1", Usage(10, 2))


DONE = counted("done", answer="parent done")


def delegating(mode, scripts, **arguments):
    """A tool `delegate(name)` that starts the sub-agent whose script is called so."""

    @tool(name="delegate")
    def sync(name: str) -> object:
        """Ask a sub-agent."""
        return run_sub_loop(ScriptedChatBackend(scripts[name]), name, subagent_id=name, **arguments)

    @tool(name="delegate")
    async def asynchronous(name: str) -> object:
        """Ask a sub-agent."""
        llm = AsyncScriptedChatBackend(scripts[name])
        return await async_run_sub_loop(llm, name, subagent_id=name, **arguments)

    return sync if mode == "sync" else asynchronous


def run(mode, script, tools, **arguments):
    if mode == "sync":
        return run_loop(ScriptedChatBackend(script), "t", tools_from(tools, include_done=True), **arguments)
    llm = AsyncScriptedChatBackend(script)
    return asyncio.run(async_run_loop(llm, "t", tools_from(tools, include_done=True), **arguments))


both = pytest.mark.parametrize("mode", ["sync", "async"])


@both
class TestInsideARun:
    def test_one_succeeds_one_fails_one_is_denied(self, mode):
        scripts = {
            "good": [counted("look", q="x"), counted("done", answer="found x")],
            "denied": [counted("bash", cmd="rm"), counted("done", answer="could not")],
            "broken": [counted("look", q="y"), ValueError("model broke")],
        }
        rules = [PermissionRule("bash", PermissionDecision.DENY, reason="no shell")]
        permissions = PermissionHook(PermissionEngine(rules=rules, default=PermissionDecision.ALLOW))
        script = [counted("delegate", name=name) for name in scripts] + [DONE]
        listener = Listener()
        found = run(mode, script, [look, bash, delegating(mode, scripts)], hooks=[permissions, listener])
        good, denied, broken = [step.tool_result.data for step in found.steps[:3]]
        assert (good["answer"], good["stop_reason"]) == ("found x", "done")
        assert good["summary"] == "found x"
        assert denied["steps"][0]["result"]["error"] == "no shell"
        assert broken["stop_reason"] == "llm_error"
        assert (found.stop_reason, found.final_output) == ("done", {"answer": "parent done"})
        assert [(e.name, name) for e, name, _ in listener.heard] == [
            (event, name) for name in scripts for event in ("SUBAGENT_START", "SUBAGENT_STOP")
        ]
        assert [child.run_id for child in found.children] == list(scripts)
        assert [len(child.steps) for child in found.children] == [2, 2, 2]
        assert [d.verdict for d in found.children[1].decisions if d.tool == "bash"] == ["deny"]
        # Four calls of the parent, two of each of the first two children, one of the third that was answered.
        assert found.usage == Usage(90, 18)
        assert [child.usage for child in found.children] == [Usage(20, 4), Usage(20, 4), Usage(10, 2)]
        assert [step.number for step in found.steps] == [1, 2, 3, 4]

    def test_an_exception_inside_is_the_tools_error_and_the_stop_is_told(self, mode):
        class Breaks:
            def pre_prompt(self, state, session_log, context, step_num):
                raise LookupError("hook broke")

        listener = Listener()
        delegate = delegating(mode, {"a": []}, hooks=[Breaks()])
        found = run(mode, [counted("delegate", name="a"), DONE], [delegate], hooks=[listener])
        assert "hook broke" in found.steps[0].tool_result.error
        assert [event for event, _, _ in listener.heard] == [
            LifecycleEvent.SUBAGENT_START,
            LifecycleEvent.SUBAGENT_STOP,
        ]
        assert listener.heard[1][2]["error"] == "LookupError: hook broke"
        assert found.stop_reason == "done"
        assert "hook broke" in found.children[0].error

    def test_it_cannot_take_more_steps_than_are_left(self, mode):
        scripts = {"a": [counted("look", q=str(n)) for n in range(9)]}
        script = [counted("look", q="z"), counted("delegate", name="a"), DONE]
        tools = [look, delegating(mode, scripts, max_steps=9)]
        found = run(mode, script, tools, config=LoopConfig(max_steps=5))
        inner = found.steps[1].tool_result.data
        assert (inner["stop_reason"], len(inner["steps"])) == ("budget_exhausted", 3)

    def test_a_sub_agent_that_calls_itself_comes_to_an_end(self, mode):
        class Again(dict):
            def __missing__(self, name):
                return [counted("delegate", name=name + "+") for _ in range(9)]

        tools = [delegating(mode, Again(), max_steps=9)]
        found = run(mode, [counted("delegate", name="a"), DONE], tools, config=LoopConfig(max_steps=4))
        depth, child = 0, found
        while child.children:
            depth, child = depth + 1, child.children[0]
        # Budgets of 4, 3, 2, 1 and none.
        assert depth == 4
        assert child.stop_reason == "budget_exhausted"
        assert found.stop_reason == "done"

    def test_a_caller_that_cancels_cancels_both(self, mode):
        token = CancelToken()

        @tool
        def stop() -> str:
            """Cancel."""
            token.cancel()
            return "x"

        scripts = {"a": [counted("stop"), counted("look", q="never")]}
        tools = [stop, look, delegating(mode, scripts)]
        found = run(mode, [counted("delegate", name="a"), DONE], tools, config=LoopConfig(cancel_token=token))
        assert found.children[0].stop_reason == "cancelled"
        assert found.stop_reason == "cancelled"

    def test_the_deadline_holds_inside(self, mode):
        @tool
        def slow() -> str:
            """Slow."""
            time.sleep(0.15)
            return "x"

        scripts = {"a": [counted("slow") for _ in range(9)]}
        tools = [slow, delegating(mode, scripts, max_steps=9)]
        found = run(mode, [counted("delegate", name="a"), DONE], tools, config=LoopConfig(deadline_s=0.1))
        assert found.children[0].stop_reason == "deadline"
        assert len(found.children[0].steps) == 1

    def test_a_tool_inside_can_ask_for_approval(self, mode):
        @tool
        def risky(ctx) -> str:
            """Ask."""
            return f"{ctx.approve('sure?', ['yes', 'no'])} in {ctx.workspace_root}"

        scripts = {"a": [counted("risky"), counted("done", answer="ok")]}
        tools = [risky, delegating(mode, scripts)]
        config = LoopConfig(approval_handler=lambda prompt, options: options[0], workspace_root="/w")
        found = run(mode, [counted("delegate", name="a"), DONE], tools, config=config)
        assert found.children[0].steps[0].tool_result.data == "yes in /w"

    def test_two_at_once_keep_apart_and_add_up(self, mode):
        scripts = {name: [counted("look", q=name), counted("done", answer=name)] for name in "ab"}
        delegate = delegating(mode, scripts)
        delegate.concurrent_safe = True
        script = [calls(call("delegate", name="a"), call("delegate", name="b")), DONE]
        found = run(mode, script, [look, delegate], config=LoopConfig(concurrent_dispatch=True))
        assert [step.tool_result.data["answer"] for step in found.steps[:2]] == ["a", "b"]
        assert sorted(child.run_id for child in found.children) == ["a", "b"]
        assert found.usage == Usage(50, 10)

    def test_spans_nest(self, mode):
        tracer = Tracer()
        scripts = {"a": [counted("done", answer="a")]}
        config = LoopConfig(tracer=tracer)
        run(
            mode,
            [counted("delegate", name="a"), DONE],
            [delegating(mode, scripts)],
            hooks=[TracingHook(tracer)],
            config=config,
        )
        (root,) = tracer.root_spans
        (inner,) = root.children[1].children
        assert (root.children[1].name, inner.name) == ("tool.delegate", "loop.run")
        assert [span.name for span in inner.children] == ["llm.call.step_1", "tool.done"]

    def test_a_recorder_that_is_passed_on_does_not_run_inside(self, mode):
        recorder = TrajectoryBuilder()
        scripts = {"a": [counted("look", q="x"), counted("done", answer="a")]}
        tools = [look, delegating(mode, scripts, hooks=[recorder])]
        config = LoopConfig(observers=[recorder])
        run(mode, [counted("delegate", name="a"), DONE], tools, config=config)
        assert [step.number for step in recorder.trajectory.steps] == [1, 2]
        assert len(recorder.trajectory.children) == 1

    def test_an_async_listener_is_awaited(self, mode):
        class Waits(Listener):
            async def on_event(self, payload):
                await asyncio.sleep(0)
                super().on_event(payload)

        class Raises:
            async def on_event(self, payload):
                if "SUBAGENT" in payload.event.name:
                    raise OSError("not its business")

        listener, hooks = Waits(), [Raises()]
        delegate = delegating(mode, {"a": [counted("done", answer="a")]})
        found = run(mode, [counted("delegate", name="a"), DONE], [delegate], hooks=[*hooks, listener])
        assert [event.name for event, _, _ in listener.heard] == ["SUBAGENT_START", "SUBAGENT_STOP"]
        assert found.stop_reason == "done"

    def test_a_recorder_keeps_what_is_inside(self, mode, tmp_path):
        scripts = {"a": [counted("look", q="x"), counted("done", answer="a")]}
        recorder = TrajectoryRecorder()
        run(
            mode,
            [counted("delegate", name="a"), DONE],
            [look, delegating(mode, scripts)],
            hooks=[recorder],
        )
        saved = Trajectory.load(recorder.save(tmp_path / "run"))
        (child,) = saved.children
        assert (child.run_id, [step.tool_call.tool for step in child.steps]) == ("a", ["look", "done"])
        assert saved.usage == Usage(40, 8)
        assert [step.number for step in saved.steps] == [1, 2]

    def test_no_run_is_current_afterwards(self, mode):
        run(
            mode,
            [counted("delegate", name="a"), DONE],
            [delegating(mode, {"a": [counted("done", answer="")]})],
        )
        assert current_run() is None

    def test_what_a_model_is_sent_of_it_is_the_same_in_every_execution(self, mode):
        def told():
            @tool(name="delegate")
            def sync() -> object:
                """Ask two."""
                done = [counted("done", answer="a")]
                return [run_sub_loop(ScriptedBackend([counted("look", q="x"), *done]), "s") for _ in range(2)]

            @tool(name="delegate")
            async def asynchronous() -> object:
                """Ask two."""
                done = [counted("done", answer="a")]
                inner = [AsyncScriptedBackend([counted("look", q="x"), *done]) for _ in range(2)]
                return await asyncio.gather(*[async_run_sub_loop(llm, "s") for llm in inner])

            script = [counted("delegate"), counted("delegate"), DONE]
            found = run(mode, script, [look, sync if mode == "sync" else asynchronous])
            return [step.tool_result.data for step in found.steps[:2]]

        one, other = told(), told()
        assert one == other
        assert len({inner["subagent_id"] for step in one for inner in step}) == 4


class TestOnItsOwn:
    def sub(self, script, tools=(look,), **arguments):
        return run_sub_loop(ScriptedChatBackend(script), "t", list(tools), **arguments)

    def test_the_result(self):
        found = self.sub([counted("look", q="x"), counted("done", answer="A")], subagent_id="s1")
        assert (found["answer"], found["final_output"], found["stop_reason"]) == (
            "A",
            {"answer": "A"},
            "done",
        )
        assert (found["llm_calls"], found["subagent_id"]) == (2, "s1")
        assert found["usage"] == {"input_tokens": 20, "output_tokens": 4, "cached_tokens": 0}
        assert [step["step"] for step in found["steps"]] == [1, 2]
        assert (found["entities"], found["findings"], found["highlights"]) == ([], [], [])

    def test_without_an_answer_there_are_no_findings(self):
        found = self.sub([counted("look", q="x")], max_steps=1)
        assert (found["summary"], found["answer"], found["final_output"]) == ("No findings", None, None)
        assert len(found["subagent_id"]) == 12

    def test_its_tools_leave_the_callers_registry_alone(self):
        class Mine(BaseToolRegistry):
            def _store_result(self, call, data):
                return "kept"

        registry = Mine()
        registry.register(look)
        registry.register(bash)
        llm = ScriptedChatBackend([counted("look", q="x"), counted("done", answer="A")])
        found = run_sub_loop(llm, "t", registry, state_mutating_tools=["bash", "done"])
        assert llm.requests[0].tool_names == ["look", "done"]
        assert found["steps"][0]["result"]["result_key"] == "kept"
        assert registry.tool_names == ["look", "bash"]

    def test_tools_of_its_own(self):
        llm = ScriptedChatBackend([counted("done", answer="A")])
        run_sub_loop(llm, "t", [look], sub_tools=[bash])
        assert llm.requests[0].tool_names == ["bash", "done"]

    def test_a_summary_of_ones_own(self):
        found = self.sub(
            [counted("done", answer="A")], build_summary=lambda state, log, steps: {"n": len(steps)}
        )
        assert found["n"] == 1

    def test_a_conversation_goes_on_in_a_fork(self):
        conversation = Conversation([Message(MessageRole.USER, "said earlier")])
        llm = ScriptedChatBackend([counted("done", answer="A")])
        run_sub_loop(llm, "t", [look], conversation=conversation)
        assert "said earlier" in llm.requests[0].text
        assert len(conversation.messages) == 1

    def test_a_state_of_its_own(self):
        state = DefaultState(max_steps=2)
        found = self.sub([counted("look", q=str(n)) for n in range(5)], state=state, max_steps=9)
        assert (len(state.steps), found["stop_reason"]) == (2, "budget_exhausted")

    def test_no_tools_is_an_error(self):
        with pytest.raises(ConfigError, match="needs tools"):
            run_sub_loop(ScriptedChatBackend([]), "t")

    def test_cloning(self):
        registry = tools_from([look, bash])
        twin = clone_tools_excluding(registry, ["bash", "absent"])
        twin.register(tool(functools.wraps(look.function)(lambda q: q)), replace=True)
        assert (twin.tool_names, registry.tool_names) == (["look"], ["look", "bash"])
        assert registry.dispatch(ToolCall("look", {"q": "x"})).data == "x"
