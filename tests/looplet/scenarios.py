"""What the loop does, as a table: a script for the model, and the steps that must come of it.

Each row runs through the sync and the async loop, and the two trajectories must be equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from looplet.config import LoopConfig
from looplet.errors import ModelError
from looplet.hook_decision import Allow, Block, Deny, InjectContext, Stop
from looplet.testing import bad_request, call, calls, overflow, rate_limit, server_error, timeout
from looplet.tools import BaseToolRegistry, ToolSpec
from looplet.types import CancelToken, ChatReply, DefaultState, ToolResult


class Tools:
    """A registry that remembers what ran: `ran` is a list of (name, args)."""

    def __init__(self, *, with_done: bool = True) -> None:
        self.ran: list[tuple[str, dict[str, Any]]] = []
        self.token = CancelToken()
        self.registry = BaseToolRegistry()
        self._add("add", {"a": "integer", "b": "integer"}, lambda a, b: {"sum": a + b}, concurrent_safe=True)
        self._add("echo", {"text": "string"}, lambda text: text, concurrent_safe=True)
        self._add("boom", {}, self._boom)
        self._add("late", {}, self._late)
        self._add("leave", {}, self._leave)
        self._add("cancel", {}, lambda: self.token.cancel())
        self._add("items", {"n": "integer"}, lambda n: list(range(n)))
        self._add("think", {"thought": "string"}, lambda thought: "ok", free=True)
        if with_done:
            self._add("done", {"answer": "string"}, lambda answer: {"answer": answer})

    def _add(self, name: str, parameters: dict[str, Any], body: Callable[..., Any], **options: Any) -> None:
        def execute(**kwargs: Any) -> Any:
            self.ran.append((name, kwargs))
            return body(**kwargs)

        schema = {
            "type": "object",
            "properties": {key: {"type": kind} for key, kind in parameters.items()},
            "required": list(parameters),
            "additionalProperties": False,
        }
        self.registry.register(ToolSpec(name, f"The tool {name}.", schema, execute, **options))

    @staticmethod
    def _boom() -> None:
        raise RuntimeError("it broke")

    @staticmethod
    def _late() -> None:
        raise TimeoutError("too slow")

    @staticmethod
    def _leave() -> None:
        raise SystemExit(3)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.ran]


class Hook:
    """A hook with the slots that a row names: `Hook(pre_dispatch=lambda **k: Deny("no"))`."""

    def __init__(self, **slots: Callable[..., Any]) -> None:
        for name, answer in slots.items():
            setattr(self, name, answer)


def on(event: str, answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An `on_event` that answers only one event."""
    return lambda payload: answer(payload) if payload.event == event else None


@dataclass
class Scenario:
    """One row.

    `steps` are lines such as `1 ✓ add` or `2 ✗ boom: part of the error`; `ran` are the tool bodies that ran.
    """

    replies: Sequence[Any]
    steps: Sequence[str]
    stop: str = "done"
    ran: Sequence[str] | None = None
    asked: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    hooks: Callable[[Tools], list[Any]] = lambda tools: []
    state: Callable[[], Any] = lambda: None
    wire: str = "text"
    raises: type[BaseException] | None = None
    done: bool = True

    def settings(self, tools: Tools) -> LoopConfig:
        return LoopConfig(cancel_token=tools.token, **self.config)


DONE = call("done", answer="ok")
ADD = call("add", a=1, b=2)
GARBAGE = "I would rather not."


def at_once(problem: ModelError) -> ModelError:
    """The same failure, with leave to retry without a pause."""
    problem.retry_after_s = 0.0
    return problem


def denying(slot: str, answer: Callable[..., Any]) -> Callable[[Tools], list[Any]]:
    return lambda tools: [Hook(**{slot: answer})]


def raising(problem: BaseException) -> Callable[..., Any]:
    def raise_it(*args: Any, **kwargs: Any) -> Any:
        raise problem

    return raise_it


def cached(*args: Any, **kwargs: Any) -> ToolResult:
    return ToolResult("add", "cached", {"sum": 99})


def once(answer: Any) -> Callable[..., Any]:
    """Answers the first time only."""
    answers = [answer]
    return lambda *args, **kwargs: answers.pop() if answers else None


class Countless:
    """A state of the caller's own whose budget never shrinks."""

    def __init__(self, budget: int = 4) -> None:
        self.steps: list[Any] = []
        self.queries_used = 0
        self.budget_remaining = budget

    @property
    def step_count(self) -> int:
        return len(self.steps)

    def context_summary(self) -> str:
        return f"{len(self.steps)} so far"

    def snapshot(self) -> dict[str, Any]:
        return {}


RECOVERED = ["1 ✓ add", "2 ✓ done"]

TABLE: dict[str, Scenario] = {
    # ------------------------------------------------------------ the ordinary run
    "one tool, then done": Scenario([ADD, DONE], ["1 ✓ add", "2 ✓ done"], ran=["add", "done"], asked=2),
    "done at once": Scenario([DONE], ["1 ✓ done"], asked=1),
    "two tools in one reply": Scenario(
        [calls(ADD, call("echo", text="x")), DONE], ["1 ✓ add", "2 ✓ echo", "3 ✓ done"], asked=2
    ),
    "a batch that ends with done": Scenario(
        [calls(ADD, ADD, DONE)], ["1 ✓ add", "2 ✓ add", "3 ✓ done"], asked=1
    ),
    "calls after done are dropped": Scenario(
        [calls(ADD, DONE, ADD)], ["1 ✓ add", "2 ✓ done"], ran=["add", "done"]
    ),
    "a batch at once keeps its order": Scenario(
        [calls(*(call("echo", text=str(i)) for i in range(6))), DONE],
        [*(f"{i} ✓ echo" for i in range(1, 7)), "7 ✓ done"],
        config={"concurrent_dispatch": True},
    ),
    "a batch at once with a tool that is not safe": Scenario(
        [calls(ADD, call("items", n=2), ADD), DONE],
        ["1 ✓ add", "2 ✓ items", "3 ✓ add", "4 ✓ done"],
        config={"concurrent_dispatch": True},
    ),
    "another name for done": Scenario([call("echo", text="bye")], ["1 ✓ echo"], config={"done_tool": "echo"}),
    # ------------------------------------------------------------ tools that fail
    "unknown tool": Scenario(
        [call("nope"), DONE], ["1 ✗ nope: Unknown tool: nope", "2 ✓ done"], ran=["done"]
    ),
    "missing argument": Scenario([call("add", a=1), DONE], ["1 ✗ add: b", "2 ✓ done"], ran=["done"]),
    "wrong type": Scenario([call("add", a="1", b=2), DONE], ["1 ✗ add: a", "2 ✓ done"], ran=["done"]),
    "extra argument": Scenario([call("add", a=1, b=2, c=3), DONE], ["1 ✗ add: c", "2 ✓ done"], ran=["done"]),
    "tool raises": Scenario([call("boom"), ADD, DONE], ["1 ✗ boom: it broke", "2 ✓ add", "3 ✓ done"]),
    "tool raises TimeoutError": Scenario([call("late"), DONE], ["1 ✗ late: too slow", "2 ✓ done"]),
    "tool raises SystemExit": Scenario([call("leave"), DONE], ["1 ✗ leave: SystemExit", "2 ✓ done"]),
    "one of a batch fails": Scenario(
        [calls(ADD, call("boom"), ADD), DONE], ["1 ✓ add", "2 ✗ boom", "3 ✓ add", "4 ✓ done"]
    ),
    # ------------------------------------------------------------ budgets
    "budget of two": Scenario(
        [ADD, ADD], ["1 ✓ add", "2 ✓ add"], stop="budget_exhausted", config={"max_steps": 2}, asked=2
    ),
    "no budget at all": Scenario([], [], stop="budget_exhausted", config={"max_steps": 0}, asked=0),
    "a batch never overshoots": Scenario(
        [calls(*[ADD] * 5)],
        ["1 ✓ add", "2 ✓ add", "3 ✓ add", "4 ✗ add: budget", "5 ✗ add: budget"],
        stop="budget_exhausted",
        ran=["add"] * 3,
        config={"max_steps": 3},
    ),
    "done beyond the budget is refused": Scenario(
        [calls(ADD, ADD, DONE)],
        ["1 ✓ add", "2 ✓ add", "3 ✗ done: budget"],
        stop="budget_exhausted",
        config={"max_steps": 2},
    ),
    "the state's limit counts alone": Scenario(
        [ADD, ADD],
        ["1 ✓ add", "2 ✓ add"],
        stop="budget_exhausted",
        state=lambda: DefaultState(max_steps=2),
    ),
    "the config's limit counts alone": Scenario(
        [ADD, ADD, ADD],
        ["1 ✓ add", "2 ✓ add", "3 ✓ add"],
        stop="budget_exhausted",
        config={"max_steps": 3},
        state=DefaultState,
    ),
    "a state of one's own is bounded by its first answer": Scenario(
        [ADD] * 4, [f"{i} ✓ add" for i in range(1, 5)], stop="budget_exhausted", state=Countless
    ),
    "a state of one's own is bounded by the config": Scenario(
        [ADD] * 2,
        ["1 ✓ add", "2 ✓ add"],
        stop="budget_exhausted",
        state=Countless,
        config={"max_steps": 2},
    ),
    "free tools cost no step": Scenario(
        [call("think", thought="a"), call("think", thought="b"), ADD, ADD],
        ["1 ✓ think", "2 ✓ think", "3 ✓ add", "4 ✓ add"],
        stop="budget_exhausted",
        config={"max_steps": 2},
    ),
    "free tools are not free for ever": Scenario(
        [call("think", thought="a")] * 4,
        [f"{i} ✓ think" for i in range(1, 5)],
        stop="budget_exhausted",
        config={"max_steps": 2},
    ),
    # ------------------------------------------------------------ replies that cannot be read
    "garbage, then the recovery call reads": Scenario([GARBAGE, ADD, DONE], RECOVERED, asked=3),
    "garbage twice in a row": Scenario(
        [GARBAGE, GARBAGE, ADD, DONE],
        ["1 ✗ __parse_error__: Could not parse", "2 ✓ add", "3 ✓ done"],
        asked=4,
    ),
    "garbage to the end": Scenario(
        [GARBAGE] * 6,
        [f"{i} ✗ __parse_error__" for i in range(1, 5)],
        stop="budget_exhausted",
        config={"max_steps": 4},
        asked=6,
    ),
    "an empty reply": Scenario(["", "", DONE], ["1 ✗ __parse_error__", "2 ✓ done"], asked=3),
    "text cut at max_tokens is asked on for": Scenario(
        [
            ChatReply([{"type": "text", "text": '{"tool": "done", "args": {"ans'}], "max_tokens"),
            'wer": "ok"}}',
        ],
        ["1 ✓ done"],
        config={"max_turn_continuations": 1},
        asked=2,
    ),
    # ------------------------------------------------------------ a model that fails
    "a bad request is not retried": Scenario(
        [bad_request("no such model")], ["1 ✗ __llm_error__: no such model"], stop="llm_error", asked=1
    ),
    "a bug in the backend is not retried": Scenario(
        [TypeError("oops")], ["1 ✗ __llm_error__: oops"], stop="llm_error", asked=1
    ),
    "a rate limit is waited out": Scenario([at_once(rate_limit()), DONE], ["1 ✓ done"], asked=2),
    "a server error that does not pass": Scenario(
        [at_once(server_error())] * 3, ["1 ✗ __llm_error__: 3 attempts"], stop="llm_error", asked=3
    ),
    "a model that hangs": Scenario(
        [at_once(timeout())] * 3, ["1 ✗ __llm_error__"], stop="llm_error", asked=3
    ),
    "an overflow is shortened and asked again": Scenario([ADD, overflow(), DONE], RECOVERED, asked=3),
    "an overflow on every step": Scenario(
        [overflow(), ADD, overflow(), ADD, overflow(), ADD, overflow(), ADD, overflow(), DONE],
        ["1 ✓ add", "2 ✓ add", "3 ✓ add", "4 ✓ add", "5 ✓ done"],
        asked=10,
    ),
    "an overflow without recovery": Scenario(
        [overflow()], ["1 ✗ __llm_error__"], stop="llm_error", config={"reactive_recovery": False}
    ),
    # ------------------------------------------------------------ cancellation
    "cancelled by a tool": Scenario(
        [call("cancel"), ADD], ["1 ✓ cancel"], stop="cancelled", ran=["cancel"], asked=1
    ),
    "cancelled in the middle of a batch": Scenario(
        [calls(call("cancel"), ADD, DONE)],
        ["1 ✓ cancel", "2 ✗ add: cancelled"],
        stop="cancelled",
        ran=["cancel"],
    ),
    # ------------------------------------------------------------ the gate before done
    "done with wrong arguments does not finish": Scenario(
        [call("done", wrong=1), DONE], ["1 ✗ done", "2 ✓ done"], ran=["done"]
    ),
    "no such done tool": Scenario(
        [DONE, ADD],
        ["1 ✗ done: Unknown tool", "2 ✓ add"],
        stop="budget_exhausted",
        config={"max_steps": 2},
        done=False,
    ),
    "check_done turns it down once": Scenario(
        [DONE, DONE],
        ["1 ✓ done", "2 ✓ done"],
        hooks=lambda tools: [Hook(check_done=once("not yet"))],
        ran=["done"],
    ),
    "check_done blocks": Scenario(
        [DONE, DONE],
        ["1 ✓ done", "2 ✓ done"],
        hooks=lambda tools: [Hook(check_done=once(Block("no")))],
        ran=["done"],
    ),
    "a rule forbids done": Scenario(
        [DONE, DONE],
        ["1 ✗ done: never", "2 ✓ done"],
        hooks=lambda tools: [Hook(check_done_permission=once(Deny("never")))],
        ran=["done"],
    ),
    # ------------------------------------------------------------ hooks before a tool
    "pre_dispatch denies": Scenario(
        [ADD, DONE],
        ["1 ✗ add: no", "2 ✓ done"],
        hooks=denying("pre_dispatch", lambda *a: Deny("no")),
        ran=["done"],
    ),
    "pre_dispatch blocks": Scenario(
        [ADD, DONE],
        ["1 ✗ add: no", "2 ✓ done"],
        hooks=denying("pre_dispatch", lambda *a: Block("no")),
        ran=["done"],
    ),
    "check_permission says False": Scenario(
        [ADD, DONE],
        ["1 ✗ add: denied", "2 ✓ done"],
        hooks=denying("check_permission", lambda *a: False),
        ran=["done"],
    ),
    "check_permission blocks": Scenario(
        [ADD, DONE],
        ["1 ✗ add: no", "2 ✓ done"],
        hooks=denying("check_permission", lambda *a: Block("no")),
        ran=["done"],
    ),
    "PRE_TOOL_USE blocks": Scenario(
        [ADD, DONE],
        ["1 ✗ add: no", "2 ✓ done"],
        hooks=denying("on_event", on("pre_tool_use", lambda p: Block("no"))),
        ran=["done"],
    ),
    "PRE_TOOL_USE raises": Scenario(
        [ADD, DONE],
        ["1 ✗ add: KeyError", "2 ✓ done"],
        hooks=denying("on_event", on("pre_tool_use", raising(KeyError("x")))),
        ran=["done"],
    ),
    "pre_dispatch raises": Scenario(
        [ADD, DONE],
        ["1 ✗ add: KeyError", "2 ✓ done"],
        hooks=denying("pre_dispatch", raising(KeyError("x"))),
        ran=["done"],
    ),
    "check_permission raises": Scenario(
        [ADD, DONE],
        ["1 ✗ add: KeyError", "2 ✓ done"],
        hooks=denying("check_permission", raising(KeyError("x"))),
        ran=["done"],
    ),
    "a reason where a verdict belongs is an error": Scenario(
        [ADD], [], stop="error", hooks=denying("check_permission", lambda *a: "no"), ran=[], raises=TypeError
    ),
    "pre_dispatch rewrites arguments": Scenario(
        [ADD, DONE],
        ["1 ✓ add", "2 ✓ done"],
        hooks=denying("pre_dispatch", lambda *a: Allow(updated_args={"a": 5, "b": 5})),
    ),
    "pre_dispatch answers instead of the tool": Scenario(
        [ADD, DONE], ["1 ✓ add", "2 ✓ done"], hooks=denying("pre_dispatch", cached), ran=["done"]
    ),
    "a denial beats an answer": Scenario(
        [ADD, DONE],
        ["1 ✗ add: no", "2 ✓ done"],
        hooks=lambda tools: [Hook(pre_dispatch=cached), Hook(check_permission=lambda *a: Deny("no"))],
        ran=["done"],
    ),
    "pre_dispatch says something": Scenario(
        [ADD, DONE],
        ["1 ✓ add", "2 ✓ done"],
        hooks=denying("pre_dispatch", lambda *a: InjectContext("careful")),
    ),
    # ------------------------------------------------------------ hooks after a tool
    "post_dispatch stops": Scenario(
        [ADD], ["1 ✓ add"], stop="enough", hooks=denying("post_dispatch", lambda *a: Stop("enough"))
    ),
    "post_dispatch replaces the result": Scenario(
        [ADD, DONE], ["1 ✓ add", "2 ✓ done"], hooks=denying("post_dispatch", cached)
    ),
    "post_dispatch raises after the step is out": Scenario(
        [ADD],
        ["1 ✓ add"],
        stop="error",
        hooks=denying("post_dispatch", raising(AssertionError("probe"))),
        raises=AssertionError,
    ),
    "should_stop says True": Scenario(
        [ADD], ["1 ✓ add"], stop="hook_requested_stop", hooks=denying("should_stop", lambda *a: True)
    ),
    "should_stop gives a reason": Scenario(
        [ADD], ["1 ✓ add"], stop="full", hooks=denying("should_stop", lambda *a: Stop("full"))
    ),
    "should_stop gives an empty reason": Scenario(
        [ADD], ["1 ✓ add"], stop="hook_stop", hooks=denying("should_stop", lambda *a: Stop(""))
    ),
    # ------------------------------------------------------------ hooks around the model
    "PRE_LLM_CALL stops before the model is asked": Scenario(
        [], [], stop="quiet", asked=0, hooks=denying("on_event", on("pre_llm_call", lambda p: Stop("quiet")))
    ),
    "POST_LLM_RESPONSE stops before the tools run": Scenario(
        [ADD],
        [],
        stop="seen",
        ran=[],
        hooks=denying("on_event", on("post_llm_response", lambda p: Stop("seen"))),
    ),
    "pre_loop raises": Scenario(
        [], [], stop="error", asked=0, hooks=denying("pre_loop", raising(OSError("disk"))), raises=OSError
    ),
    # ------------------------------------------------------------ message threads
    "thread: one tool, then done": Scenario([ADD, DONE], ["1 ✓ add", "2 ✓ done"], wire="thread", asked=2),
    "thread: two calls in one turn": Scenario(
        [calls(ADD, call("echo", text="x")), DONE], ["1 ✓ add", "2 ✓ echo", "3 ✓ done"], wire="thread"
    ),
    "thread: an answer in plain text": Scenario([ADD, "It is 3."], ["1 ✓ add", "2 ✓ done"], wire="thread"),
    "thread: plain text and no done tool": Scenario(
        [ADD, "It is 3."], ["1 ✓ add"], wire="thread", done=False
    ),
    "thread: plain text that is a contract call": Scenario(
        ['{"tool": "add", "args": {"a": 1, "b": 2}}', DONE], ["1 ✓ add", "2 ✓ done"], wire="thread"
    ),
    "thread: an empty reply": Scenario(["", DONE], ["1 ✗ __parse_error__: empty", "2 ✓ done"], wire="thread"),
    "thread: a plain answer turned down once": Scenario(
        ["It is 3.", "It is three."],
        ["1 ✓ done", "2 ✓ done"],
        wire="thread",
        hooks=lambda tools: [Hook(check_done=once("say it in words"))],
    ),
    "thread: arguments that are no object": Scenario(
        [[{"type": "tool_use", "id": "c1", "name": "add", "input": {"_raw_arguments": "{a"}}], DONE],
        ["1 ✗ add: not a JSON object", "2 ✓ done"],
        wire="thread",
        ran=["done"],
    ),
    "thread: a call cut at max_tokens": Scenario(
        [
            ChatReply(
                [{"type": "tool_use", "id": "c1", "name": "add", "input": {}, "truncated": True}],
                "max_tokens",
            ),
            DONE,
        ],
        ["1 ✗ add: cut off", "2 ✓ done"],
        wire="thread",
        ran=["done"],
    ),
    "thread: the provider refuses tools": Scenario(
        [bad_request("this model does not support tools"), ADD, DONE], ["1 ✓ add", "2 ✓ done"], wire="thread"
    ),
    "thread: any other bad request is an error": Scenario(
        [bad_request("no credit")], ["1 ✗ __llm_error__: no credit"], stop="llm_error", wire="thread", asked=1
    ),
    "thread: overflow": Scenario(
        [ADD, ADD, ADD, overflow(), DONE], ["1 ✓ add", "2 ✓ add", "3 ✓ add", "4 ✓ done"], wire="thread"
    ),
    "native tools beside a prompt": Scenario(
        [calls(ADD, ADD), DONE], ["1 ✓ add", "2 ✓ add", "3 ✓ done"], wire="native"
    ),
    "native tools: the call is in the text": Scenario(
        [[{"type": "text", "text": '{"tool": "add", "args": {"a": 1, "b": 2}}'}], DONE],
        ["1 ✓ add", "2 ✓ done"],
        wire="native",
    ),
}
