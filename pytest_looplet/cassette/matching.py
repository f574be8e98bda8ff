"""When two requests are the same: the one place where a request is brought into its normal form.

Order of keys, ids of tool calls, hints for a prompt cache, headers and host do not count. What does count is
split into the parts that a drift is reported by: model, tools, params, prompt, history. Each is a digest;
turns are digested one behind the other, so a request that continues an earlier one costs only what it added.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urlencode

from pytest_looplet.cassette.body import Body
from pytest_looplet.cassette.exchange import Request

DriftClass: TypeAlias = Literal["prompt", "history", "tools", "params", "model", "calls"]
"""What a change is about: system prompt and task; turns from the first reply on; tool schemas; sampling
and all other members; the model; number and order of the calls."""

NormalRequest: TypeAlias = dict[str, Any]
"""`{"method", "path", "query", "body"}`: what a user's normalizer is given and gives back."""

Normalizer: TypeAlias = str | tuple[str, str] | Callable[[NormalRequest], NormalRequest | None]
"""`"date"`, `"uuid"`, `"path"`; a pattern and what stands for it; or a function of the whole request."""

MEMBERS: dict[str, DriftClass] = {
    "model": "model",
    "tools": "tools",
    "tool_choice": "tools",
    "functions": "tools",
    "function_call": "tools",
    "parallel_tool_calls": "tools",
    "tool_config": "tools",
    "toolConfig": "tools",
    "system": "prompt",
    "system_prompt": "prompt",
    "instructions": "prompt",
    "prompt": "prompt",
    "input": "prompt",
    "system_instruction": "prompt",
    "systemInstruction": "prompt",
    "previous_response_id": "history",
    "conversation": "history",
}
"""Which part a member of the body belongs to; `params` where it is not named."""

PATTERNS: dict[str, tuple[str, str]] = {
    "date": (
        r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?",
        "<date>",
    ),
    "uuid": (r"(?i)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", "<uuid>"),
    "path": (rf"(?:{re.escape(tempfile.gettempdir())}|/tmp|/private/var|/var/folders)/[\w./@+-]+", "<path>"),
}
"""The normalizers that go by a name."""

UNTOLD = frozenset({"prompt_cache_key", "prompt_cache_retention"})
"""Members that only say how a provider may cache a prompt: they cannot change the answer."""

_ANSWERED = frozenset({"function_call", "reasoning", "custom_tool_call"})


class Key(NamedTuple):
    """The normal form of a request, digested part by part; an ignored part is empty."""

    endpoint: str
    model: bytes
    tools: bytes
    params: bytes
    prompt: bytes
    history: bytes


@dataclass(slots=True)
class _Chain:
    """Digests of a thread: one for each turn, each over all turns of its part so far."""

    digests: list[bytes] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    ids_after: list[int] = field(default_factory=list)
    prompt_turns: int = -1

    def first(self, kept: int) -> _Chain:
        """The chain over the first *kept* turns."""
        known = self.ids_after[kept - 1] if kept else 0
        prompt = self.prompt_turns if self.prompt_turns < kept else -1
        return _Chain(
            self.digests[:kept], dict(islice(self.ids.items(), known)), self.ids_after[:kept], prompt
        )


def is_reply(turn: Any) -> bool:
    """Whether a turn is the model's."""
    return isinstance(turn, dict) and (
        turn.get("role") in ("assistant", "model") or turn.get("type") in _ANSWERED
    )


class Matcher:
    """Makes keys of requests.

    Args:
        normalizers: What shall not count, beyond what never does.
        ignored: Parts that do not count at all.
    """

    def __init__(self, normalizers: Sequence[Normalizer] = (), ignored: frozenset[str] = frozenset()) -> None:
        self._functions = [n for n in normalizers if callable(n)]
        self._patterns = [
            (re.compile(pattern), with_)
            for pattern, with_ in (
                PATTERNS[n] if isinstance(n, str) else n for n in normalizers if not callable(n)
            )
        ]
        self._ignored = ignored

    def key(self, request: Request, body: Body | None) -> Key:
        """The key of *request*; *body* is its body, read, or None if that is no JSON object."""
        if self._functions:
            request, body = self._by_functions(request, body)
        key = self._json_key(request, body) if body is not None else self._raw_key(request)
        # The endpoint is no class of drift and always counts.
        return Key(
            key.endpoint, *(b"" if name in self._ignored else getattr(key, name) for name in Key._fields[1:])
        )

    def first_difference(self, body: Body, other: Body) -> int | None:
        """Index of the first turn in which two threads differ; None if they are the same.

        It may lie behind the end of one of them.
        """
        chain, its = self._chain(body), self._chain(other)
        pairs = zip(chain.digests, its.digests, strict=False)
        differing = next((n for n, (mine, theirs) in enumerate(pairs) if mine != theirs), None)
        if differing is None and len(chain.digests) != len(its.digests):
            return min(len(chain.digests), len(its.digests))
        return differing

    def _json_key(self, request: Request, body: Body) -> Key:
        parts: dict[str, dict[str, Any]] = {
            "model": {},
            "tools": {},
            "params": {},
            "prompt": {},
            "history": {},
        }
        for name, value in body.json.items():
            if name != body.thread and name not in UNTOLD:
                parts[MEMBERS.get(name, "params")][name] = value
        made = {part: self._digest(b"", self._text(value)) for part, value in parts.items()}
        chain = self._chain(body)
        count = len(chain.digests)
        prompt_turns = chain.prompt_turns if chain.prompt_turns >= 0 else count
        if prompt_turns:
            made["prompt"] += chain.digests[prompt_turns - 1]
        if count > prompt_turns:
            made["history"] += chain.digests[-1]
        return Key(_endpoint(request), **made)

    def _raw_key(self, request: Request) -> Key:
        raw = request.body
        boundary = re.search(r'boundary="?([^";]+)', request.header("content-type"))
        if boundary:
            # A multipart boundary is drawn anew for each request.
            raw = raw.replace(boundary[1].encode("latin-1", "replace"), b"boundary")
        return Key(
            _endpoint(request), b"", b"", self._digest(b"", self._sub(raw.decode("latin-1"))), b"", b""
        )

    def _chain(self, body: Body) -> _Chain:
        if isinstance(body.chain, _Chain):
            return body.chain
        base = body.base if body.base and isinstance(body.base.chain, _Chain) else None
        chain = self._chain(base).first(body.kept) if base else _Chain()
        for number, turn in enumerate(islice(body.turns, len(chain.digests), None), len(chain.digests)):
            if chain.prompt_turns < 0 and is_reply(turn):
                chain.prompt_turns = number
            before = chain.digests[-1] if number and number != chain.prompt_turns else b""
            chain.digests.append(self._digest(before, self._text(canonical_ids(turn, chain.ids))))
            chain.ids_after.append(len(chain.ids))
        body.chain = chain
        return chain

    def _by_functions(self, request: Request, body: Body | None) -> tuple[Request, Body | None]:
        """Users' functions see plain data of their own; what they give back is matched on."""
        shown: Any = (
            json.loads(json.dumps(body.json)) if body is not None else request.body.decode("utf-8", "replace")
        )
        normal: NormalRequest = {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "body": shown,
        }
        for function in self._functions:
            normal = function(normal) or normal
        changed = Request(
            str(normal["method"]), str(normal["path"]), str(normal["query"]), headers=request.headers
        )
        if not isinstance(normal["body"], dict):
            raw = (
                normal["body"]
                if isinstance(normal["body"], str)
                else json.dumps(normal["body"], sort_keys=True)
            )
            return Request(
                changed.method, changed.path, changed.query, "", raw.encode("utf-8", "replace")
            ), None
        thread = body.thread if body is not None else ""
        return changed, Body(normal["body"], thread if isinstance(normal["body"].get(thread), list) else "")

    def _text(self, value: Any) -> str:
        return self._sub(json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")))

    def _sub(self, text: str) -> str:
        for pattern, with_ in self._patterns:
            text = pattern.sub(with_, text)
        return text

    @staticmethod
    def _digest(before: bytes, text: str) -> bytes:
        return blake2b(before + text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _endpoint(request: Request) -> str:
    query = urlencode(sorted(parse_qsl(request.query, keep_blank_values=True)))
    return f"{request.method} {request.path}" + (f"?{query}" if query else "")


def canonical_ids(turn: Any, ids: dict[str, str]) -> Any:
    """*turn* with the ids of its tool calls numbered in the order they came; *ids* remembers them."""
    if not isinstance(turn, dict):
        return turn
    changed: dict[str, Any] = {}
    for name in ("tool_call_id", "call_id"):
        if isinstance(turn.get(name), str):
            changed[name] = _numbered(turn[name], ids)
    calls = turn.get("tool_calls")
    if isinstance(calls, list):
        changed["tool_calls"] = [_with_id(call, "id", ids) for call in calls]
    if isinstance(turn.get("content"), list):
        changed["content"] = [_block(block, ids) for block in turn["content"]]
    return {**turn, **changed} if changed else turn


def _block(block: Any, ids: dict[str, str]) -> Any:
    kind = block.get("type") if isinstance(block, Mapping) else None
    name = {"tool_use": "id", "tool_result": "tool_use_id"}.get(str(kind))
    return _with_id(block, name, ids) if name else block


def _with_id(part: Any, name: str, ids: dict[str, str]) -> Any:
    if not isinstance(part, dict) or not isinstance(part.get(name), str):
        return part
    return {**part, name: _numbered(part[name], ids)}


def _numbered(name: str, ids: dict[str, str]) -> str:
    return ids.setdefault(name, f"call {len(ids) + 1}")
