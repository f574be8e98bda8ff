"""A recorded run again, without a model: its replies through today's tools and hooks."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import Path
from typing import Any

from looplet.errors import LoopletError, TraceError
from looplet.loop import LoopConfig, composable_loop
from looplet.types import AgentState, Capabilities, ChatReply, DefaultState, Step, ThreadMessage

_HEAD = "## RESPONSE\n\n"
_METHODS = ("generate", "generate_with_tools", "chat")


class ReplayDiverged(LoopletError):
    """Today's agent asks for something that the recording does not have.

    Attributes:
        call: Number of the model call, from 1.
        step: Number of the step it decides, or None.
    """

    def __init__(self, message: str, *, call: int, step: int | None) -> None:
        super().__init__(message)
        self.call = call
        self.step = step


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a replay first asked for something else than was recorded.

    Attributes:
        call: Number of the model call, from 1.
        step: Number of the step it decides.
        diff: What differs in the request, as a unified diff.
    """

    call: int
    step: int | None
    diff: str

    def __str__(self) -> str:
        where = f"model call {self.call}" + (f" (step {self.step})" if self.step else "")
        return f"{where} differs from the recording:\n{self.diff}"


class RecordedBackend:
    """Answers with the replies of a run directory, in their order.

    Args:
        trace_dir: The run directory.
        then: Answers from `until_step` on, or when the recording ends; None means that nobody does.
        until_step: The last step whose reply comes from the recording; None for all.

    Attributes:
        divergence: The first request that differs from the recorded one, or None so far.
        wire: The method that the recording was made with.
    """

    def __init__(self, trace_dir: str | Path, *, then: Any = None, until_step: int | None = None) -> None:
        self._calls = read_calls(Path(trace_dir))
        self._then = then
        self._until = until_step
        self._next = 0
        self._sent = 0
        self.divergence: Divergence | None = None
        self.wire = self._calls[0]["method"]
        if self.wire != "generate":
            setattr(self, self.wire, self._chat if self.wire == "chat" else self._with_tools)

    def capabilities(self) -> Capabilities:
        """What the recorded backend could do."""
        return Capabilities(
            chat=self.wire == "chat", native_tools=self.wire == "generate_with_tools", own_retries=True
        )

    def __len__(self) -> int:
        return len(self._calls)

    def generate(self, prompt: str, **options: Any) -> Any:
        """The next recorded reply."""
        return self._reply("generate", prompt, prompt, options)

    def _with_tools(self, prompt: str, **options: Any) -> Any:
        return self._reply("generate_with_tools", prompt, prompt, options)

    def _chat(self, messages: Sequence[ThreadMessage], **options: Any) -> Any:
        start = self._sent if self._sent < len(messages) else 0
        self._sent = len(messages)
        new = json.dumps(list(messages[start:]), indent=1, ensure_ascii=False)
        reply = self._reply("chat", messages, new, options)
        return reply if isinstance(reply, ChatReply) else ChatReply(reply, "tool_use")

    def _reply(self, method: str, first: Any, text: str, options: dict[str, Any]) -> Any:
        call = self._calls[self._next] if self._next < len(self._calls) else None
        beyond = self._until is not None and call is not None and (call["step_num"] or 0) > self._until
        if call is None or beyond:
            if self._then is None:
                raise ReplayDiverged(
                    f"model call {self._next + 1} was not recorded: the recording has {len(self._calls)} "
                    "calls. Today's agent goes on where the recorded one stopped",
                    call=self._next + 1,
                    step=None,
                )
            return getattr(self._then, method)(first, **options)
        self._next += 1
        self._compare(call, text)
        if call["error"]:
            raise RuntimeError(f"recorded failure: {call['error']}")
        return call["response"]

    def _compare(self, call: dict[str, Any], text: str) -> None:
        recorded = call.get("prompt")
        if self.divergence is None and recorded is not None and _alike(recorded) != _alike(text):
            lines = unified_diff(
                recorded.splitlines(), text.splitlines(), "recorded", "now", n=1, lineterm=""
            )
            self.divergence = Divergence(self._next, call["step_num"], "\n".join(lines))


def _alike(text: str) -> str:
    """A request without what differs from run to run by nature: ids of calls, and how long tests took."""
    import re

    text = re.sub(r'"(id|tool_use_id|call_id)": "[^"]*"', r'"\1": ""', text)
    return re.sub(r" in \d+\.\d+s\b", " in 0s", text)


def read_calls(directory: Path) -> list[dict[str, Any]]:
    """The recorded model calls of a run directory, oldest first.

    Raises:
        FileNotFoundError: There is no such folder, or no calls in it.
        TraceError: A file cannot be read; names it and the reason.
    """
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory} does not exist")
    manifest = directory / "manifest.jsonl"
    calls = _from_manifest(manifest) if manifest.exists() else _from_texts(directory)
    if not calls:
        raise FileNotFoundError(
            f"{directory} holds no recorded model calls: "
            "replay the folder of a ProvenanceSink, or a test by its cassette"
        )
    return calls


def _from_manifest(manifest: Path) -> list[dict[str, Any]]:
    try:
        lines = manifest.read_bytes().split(b"\n")
    except OSError as problem:
        raise TraceError(f"{manifest} cannot be read: {problem}") from problem
    rest = lines.pop()
    calls = [_call_of(manifest, number, line) for number, line in enumerate(lines, 1)]
    with suppress(TraceError):  # a line without its end was cut off while it was written
        calls += [_call_of(manifest, len(lines) + 1, rest)]
    return calls


def _call_of(manifest: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        call = json.loads(line)
        method, response = call["method"], call.get("response")
        index = call.get("index", number - 1)
        if method not in _METHODS or not isinstance(index, int):
            raise ValueError(f"method {method!r}, index {index!r}")
        if response is not None and not isinstance(response, (str, list)):
            raise ValueError(f"response {response!r}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise TraceError(f"{manifest}, line {number}: no recorded call: {problem!r}") from problem
    if response is None:
        response = _response_of(manifest.with_name(f"call_{index:02d}_response.txt"))
    told = {"method": method, "step_num": call.get("step_num"), "error": call.get("error")}
    return {**told, "response": response, "prompt": call.get("prompt")}


def _from_texts(directory: Path) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    while (path := directory / f"call_{len(calls):02d}_response.txt").exists():
        calls.append(
            {
                "method": "generate",
                "step_num": None,
                "error": None,
                "response": _response_of(path),
                "prompt": None,
            }
        )
    return calls


def _response_of(path: Path) -> Any:
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise TraceError(f"{path} cannot be read: {problem}") from problem
    if _HEAD in text:
        body = text.split(_HEAD, 1)[1]
        return "" if body == "(empty)" else body
    if "## RESPONSE (content blocks)\n\n" in text:
        try:
            return json.loads(text.split("## RESPONSE (content blocks)\n\n", 1)[1])
        except ValueError as problem:
            raise TraceError(f"{path} holds damaged blocks: {problem}") from problem
    raise TraceError(f"{path} has no response section")


def replay_loop(
    trace_dir: str | Path,
    *,
    tools: Any,
    state: AgentState | None = None,
    hooks: Sequence[Any] | None = None,
    config: LoopConfig | None = None,
    task: Any = None,
) -> Generator[Step, None, Any]:
    """Run today's tools and hooks on the replies that a run directory holds; yields the steps.

    Text and native recordings are told apart by themselves. A request that differs from the recorded one is
    no error here; `RecordedBackend.divergence` has the first, and `looplet replay` shows it.

    Args:
        trace_dir: The run directory.
        task: The recorded task by default.

    Raises:
        FileNotFoundError: There is no such folder, or no calls in it.
        ReplayDiverged: Today's agent asks the model more often than the recorded one did.
    """
    backend = RecordedBackend(trace_dir)
    steps = replay_through(
        backend, trace_dir, tools=tools, state=state, hooks=hooks, config=config, task=task
    )
    return (yield from steps)


def replay_through(
    backend: RecordedBackend,
    trace_dir: str | Path,
    *,
    tools: Any,
    state: AgentState | None = None,
    hooks: Sequence[Any] | None = None,
    config: LoopConfig | None = None,
    task: Any = None,
) -> Generator[Step, None, Any]:
    """`replay_loop` with a backend of the caller's making."""
    if config is None:
        recorded = len(list(Path(trace_dir).glob("steps/step_*.json")))
        config = LoopConfig(max_steps=max(len(backend), recorded, 1))
        state = DefaultState(max_steps=config.max_steps) if state is None else state
    native = backend.wire == "generate_with_tools"
    config = replace(config, use_native_tools=True if native else None, checkpoint_dir=None)
    task = _recorded_task(Path(trace_dir)) if task is None else task
    for step in composable_loop(backend, task, tools, hooks=hooks, config=config, state=state):
        diverged = _divergence_in(step)
        if diverged is not None:
            raise ReplayDiverged(diverged, call=len(backend) + 1, step=step.number)
        yield step


def _divergence_in(step: Step) -> str | None:
    error = step.tool_result.error or ""
    marker = "was not recorded: the recording has"
    return error if step.tool_call.tool == "__llm_error__" and marker in error else None


def _recorded_task(directory: Path) -> Any:
    path = directory / "trajectory.json"
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("task") or {}
    except (OSError, ValueError, AttributeError) as problem:
        raise TraceError(f"{path} cannot be read: {problem}") from problem
