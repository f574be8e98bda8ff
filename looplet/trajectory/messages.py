"""A run told as a message list, in the words of OpenAI or Anthropic, as the fields of a trajectory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from looplet.errors import TraceError
from looplet.trajectory.call import RecordedCall, prompt_text
from looplet.types import Block, ErrorKind, Step, ThreadMessage, ToolCall, ToolError, ToolResult
from looplet.values import normal

SOURCE = "the messages"


def read_messages(messages: Sequence[Any], task: object = None) -> dict[str, Any]:
    """The fields of a trajectory that *messages* tell of.

    Each assistant turn is a model call and each tool call in it a step.

    Args:
        messages: Messages of OpenAI's Chat Completions or Responses API or of Anthropic's Messages API,
            as dicts or as objects with `model_dump()`.
        task: What was asked for; the first user text if None.

    Raises:
        TraceError: A message has a shape that none of the three has.
    """
    system, thread = read_thread(messages)
    return {
        "task": normal(task) if task is not None else prompt_text(thread) or None,
        "steps": read_steps(thread),
        "model_calls": tuple(_calls(thread, system)),
        **ending(thread),
    }


def ending(thread: Sequence[ThreadMessage]) -> dict[str, Any]:
    """How a thread ends: the fields `stop_reason` and `final_output` of its trajectory.

    `done` if the last turn is an answer, `tool_use` if it asks for tools, else `incomplete`.
    """
    if not thread or thread[-1]["role"] != "assistant":
        return {"stop_reason": "incomplete", "final_output": {}}
    last = thread[-1]["content"]
    if has_calls(last):
        return {"stop_reason": "tool_use", "final_output": {}}
    text = "".join(_text_of(block) for block in last if block.get("type") == "text")
    return {"stop_reason": "done", "final_output": {"answer": text}}


def read_thread(messages: Sequence[Any]) -> tuple[str, list[ThreadMessage]]:
    """The system prompt and the message thread in looplet's form; turns of one role in a row are joined.

    Raises:
        TraceError: A message has a shape that neither provider has.
    """
    system: list[str] = []
    thread: list[ThreadMessage] = []
    for number, message in enumerate(messages):
        plain = _plain(message, number)
        role = _role(plain, number)
        blocks = list(_blocks(plain, number))
        if role == "system":
            system += [str(block.get("text", "")) for block in blocks]
        elif thread and thread[-1]["role"] == role:
            thread[-1]["content"] += blocks
        elif role:
            thread.append({"role": role, "content": blocks})
    return "\n".join(system), thread


_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "user",
    "function_call": "assistant",
    "function_call_output": "user",
    "reasoning": "",  # what the model keeps to itself is no turn
}
_TEXT_TYPES = {"text", "input_text", "output_text"}


def _plain(message: object, number: int) -> dict[str, Any]:
    dump = getattr(message, "model_dump", None)
    plain = normal(dump() if callable(dump) else message)
    if not isinstance(plain, dict):
        _refuse(number, f"is {type(message).__name__}, not an object")
    return plain


def _role(message: dict[str, Any], number: int) -> str:
    kind = message.get("role") or message.get("type")
    if kind not in _ROLES:
        _refuse(number, f"has the role {kind!r}; known are {', '.join(_ROLES)}")
    return _ROLES[kind]


def _blocks(message: dict[str, Any], number: int) -> Iterator[Block]:
    """The content of one message as looplet's blocks."""
    if message.get("role") == "tool":
        yield _answered(message.get("tool_call_id"), message.get("content"))
        return
    if message.get("type") == "function_call_output":
        yield _answered(message.get("call_id"), message.get("output"))
        return
    if message.get("type") == "function_call":
        yield _called(message.get("call_id"), message.get("name"), message.get("arguments"))
        return
    content = message.get("content")
    for part in [content] if isinstance(content, str) else content or ():
        yield _block(part, number)
    for call in message.get("tool_calls") or ():
        function = call.get("function") or call.get("custom") or {}
        yield _called(call.get("id"), function.get("name"), function.get("arguments", function.get("input")))


def _block(part: object, number: int) -> Block:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        _refuse(number, "has content that is neither text nor a typed block")
    if part["type"] in _TEXT_TYPES:
        return {"type": "text", "text": str(part.get("text", ""))}
    if part["type"] == "tool_use":
        return _called(part.get("id"), part.get("name"), part.get("input"))
    if part["type"] == "tool_result":
        return _answered(part.get("tool_use_id"), part.get("content"), is_error=bool(part.get("is_error")))
    return part


def _called(call_id: object, name: object, arguments: object) -> Block:
    return {
        "type": "tool_use",
        "id": str(call_id or ""),
        "name": str(name or ""),
        "input": _arguments(arguments),
    }


def _arguments(arguments: object) -> dict[str, Any]:
    value = _json(arguments) if isinstance(arguments, str) else arguments
    if isinstance(value, dict):
        return value
    return {"_raw_arguments": arguments} if arguments else {}


def _answered(call_id: object, content: object, *, is_error: bool = False) -> Block:
    text = content if isinstance(content, str) else _joined(content)
    return {"type": "tool_result", "tool_use_id": str(call_id or ""), "content": text, "is_error": is_error}


def _joined(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(
            str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in content
        )
    return "" if content is None else json.dumps(content)


def read_steps(thread: Iterable[ThreadMessage]) -> tuple[Step, ...]:
    """The tool calls of a thread, each with the first result that follows it under its id.

    A call that nothing answers is an error, save in a last turn: there nothing could answer it yet.
    """
    asked: list[ToolCall] = []
    answers: dict[int, Block] = {}
    waiting: dict[str, int] = {}  # some servers use the same ids again in each turn
    open_from = 0
    for message in thread:
        open_from = len(asked)
        for block in message["content"]:
            if block.get("type") == "tool_use":
                waiting[block["id"]] = len(asked)
                asked.append(ToolCall(block["name"], block["input"], call_id=block["id"]))
            elif block.get("type") == "tool_result" and block["tool_use_id"] in waiting:
                answers[waiting.pop(block["tool_use_id"])] = block
    return tuple(
        Step(place + 1, call, _result(call, answers.get(place), is_open=place >= open_from))
        for place, call in enumerate(asked)
    )


_UNANSWERED = "the messages hold no result of this call"


def _result(call: ToolCall, answer: Block | None, *, is_open: bool) -> ToolResult:
    summary = ", ".join(f"{key}={str(value)[:50]}" for key, value in call.args.items())
    if answer is None:
        if is_open:
            return ToolResult(call.tool, summary, None, call_id=call.call_id)
        error = ToolError(ErrorKind.CANCELLED, _UNANSWERED)
        return ToolResult(call.tool, summary, None, _UNANSWERED, error, call_id=call.call_id)
    text = str(answer["content"])
    if answer["is_error"]:
        error = ToolError(ErrorKind.EXECUTION, text)
        return ToolResult(call.tool, summary, None, text, error, call_id=call.call_id)
    return ToolResult(call.tool, summary, _data(text), call_id=call.call_id)


def _data(text: str) -> Any:
    """A result as data: an object or a list if the text is one in JSON, else the text."""
    value = _json(text) if text[:1] in ("{", "[") else None
    return text if value is None else value


def _json(text: str) -> Any:
    try:
        return normal(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _calls(thread: Sequence[ThreadMessage], system: str) -> Iterator[RecordedCall]:
    kept, step = 0, 1
    turns = [position for position, message in enumerate(thread) if message["role"] == "assistant"]
    for number, position in enumerate(turns, start=1):
        reply = thread[position]["content"]
        yield RecordedCall(
            number=number,
            step=step,
            system_prompt=system,
            kept=kept,
            added=tuple(thread[kept:position]),
            reply=tuple(reply),
            stop_reason="tool_use" if has_calls(reply) else "end_turn",
        )
        kept = position
        step += sum(block.get("type") == "tool_use" for block in reply)


def _text_of(block: Block) -> str:
    return str(block.get("text", ""))


def has_calls(blocks: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a tool call is among the blocks."""
    return any(block.get("type") == "tool_use" for block in blocks)


def _refuse(number: int, reason: str) -> NoReturn:
    raise TraceError(f"cannot read {SOURCE}: message {number} {reason}")
