"""What the local provider is asked, and the scripts that find an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from looplet.errors import ConfigError, ScriptExhausted
from looplet.testing.misbehave import content_filter, cut, malformed, never, no_choices, refusal, slow, status
from looplet.testing.replies import Calls, calls, chunks
from looplet.text import count

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """One request as the provider received it.

    Attributes:
        path: Path of the URL.
        headers: Headers, names in lower case.
        body: The JSON that was sent.
        raw: The same, as bytes.
    """

    path: str
    headers: Mapping[str, str]
    body: Json
    raw: bytes

    @property
    def endpoint(self) -> str:
        """The path behind `/v1/`: `chat/completions`, `messages`, `responses`, `embeddings`."""
        path = self.path.partition("?")[0].strip("/")
        while path.startswith("v1/"):
            path = path[3:]
        return path

    @property
    def messages(self) -> list[Json]:
        """The thread that was sent, in the provider's own form."""
        thread: str | list[Json] = self.body.get("messages") or self.body.get("input") or []
        return [{"role": "user", "content": thread}] if isinstance(thread, str) else thread

    @property
    def turn(self) -> int:
        """How many turns the model has already taken in this thread: 0 for the first request."""
        turns, before = 0, False
        for message in self.messages:
            ours = message.get("role") == "assistant" or message.get("type") == "function_call"
            turns += ours and not before
            before = ours
        return turns

    @property
    def tool_names(self) -> list[str]:
        """Names of the tools that were offered."""
        return [tool.get("function", tool).get("name", "") for tool in self.body.get("tools", [])]

    @property
    def stream(self) -> bool:
        """Whether a stream was asked for."""
        return bool(self.body.get("stream"))

    @property
    def text(self) -> str:
        """All that the model was shown, as one text."""
        return self.raw.decode("utf-8", "replace")

    @property
    def task(self) -> str:
        """The text of the first message from the user."""
        first = next((m for m in self.messages if m.get("role") == "user"), {"content": ""})
        content = first["content"]
        if isinstance(content, str):
            return content
        return "\n".join(str(part.get("text", "")) for part in content)


Script: TypeAlias = Iterable[object] | Callable[[ProviderRequest], object]
"""Replies in order, or a function that gives the reply to a request."""


def by_task(tasks: Mapping[str, Sequence[object]]) -> Callable[[ProviderRequest], object]:
    """A script for several tasks at once, in any order and also concurrently.

    Args:
        tasks: For each task, a text that its first user message contains, and the model's turns. The
            longest text that fits is taken. The turn is found from the thread, so nothing is remembered: a
            failure among the turns is given again for as long as that turn is asked for.
    """

    def reply(request: ProviderRequest) -> object:
        fitting = [key for key in tasks if key in request.task]
        if not fitting:
            raise ScriptExhausted(
                f"no task of the script is part of {request.task[:200]!r}; it has {list(tasks)}"
            )
        key = max(fitting, key=len)
        turns = tasks[key]
        if request.turn >= len(turns):
            raise ScriptExhausted(
                f"the script for {key!r} has {count(len(turns), 'turn')}, and one more was asked for"
            )
        return turns[request.turn]

    return reply


_FROM_JSON: dict[str, Callable[[Json], object]] = {
    "call": lambda said: _calls_from_json([said], ""),
    "calls": lambda said: _calls_from_json(said["calls"], said.get("text", "")),
    "chunks": lambda said: chunks(*said["chunks"]),
    "status": lambda said: status(
        said["status"],
        said.get("message", ""),
        retry_after=said.get("retry_after"),
        param=said.get("param"),
        error_code=said.get("error_code"),
    ),
    "slow": lambda said: slow(said["slow"], _reply_from_json(said.get("reply", "late"))),
    "cut": lambda said: cut(_reply_from_json(said["cut"])),
    "malformed": lambda said: malformed(said["malformed"]),
    "never": lambda said: never(),
    "refusal": lambda said: refusal(said["refusal"]),
    "content_filter": lambda said: content_filter(),
    "no_choices": lambda said: no_choices(),
}


def _calls_from_json(wanted: Sequence[Json], text: str) -> Calls:
    return calls(*(Calls(((one["call"], one.get("args", {})),)) for one in wanted), text=text)


def _reply_from_json(said: object) -> object:
    if isinstance(said, str):
        return said
    if isinstance(said, dict):
        for name, read in _FROM_JSON.items():
            if name in said:
                return read(said)
    raise ConfigError(
        f"{json.dumps(said)} is no reply; a reply is a text or an object with one of {list(_FROM_JSON)}"
    )


def _replies_from_json(script: object) -> list[object]:
    if not isinstance(script, list):
        raise TypeError(f"wanted a list of replies, got {json.dumps(script)[:80]}")
    return [_reply_from_json(said) for said in script]


def script_from_json(path: str | Path) -> Script:
    """Read a script file: a list of replies, or an object of lists for `by_task`.

    Raises:
        ConfigError: The file cannot be read, is not JSON, or has a reply that is none.
    """
    try:
        script = json.loads(Path(path).read_text(encoding="utf-8"))
        if isinstance(script, dict):
            return by_task({task: _replies_from_json(turns) for task, turns in script.items()})
        return _replies_from_json(script)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"script {path}: {type(error).__name__}: {error}") from error
