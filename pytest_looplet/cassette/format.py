"""The cassette file: interactions to text and back.

A request that continues an earlier one is written as `like: 2`, `keep: 4`: what call 2 sent up to its 4th
turn, and below it only what came on top; a long text that repeats the one at its place in call 2, as lines
of that. So a file grows with the work done and not with its square.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import takewhile
from typing import Any, cast, get_args

from pytest_looplet.cassette.body import THREADS, Body
from pytest_looplet.cassette.encoding import Shown, bytes_of, shown, strict_json, style_in
from pytest_looplet.cassette.errors import CassetteUnreadable
from pytest_looplet.cassette.exchange import Ended, Headers, Reply, Request
from pytest_looplet.cassette.interaction import Interaction, Recording
from pytest_looplet.cassette.members import member, must_be
from pytest_looplet.cassette.repeated import put_in, take_out
from pytest_looplet.cassette.vcr_format import VcrReader
from pytest_looplet.cassette.yaml_in import NotYaml, from_yaml
from pytest_looplet.cassette.yaml_out import to_yaml

VERSION = 1
"""The version of the format that is written."""

_HEAD = """\
# Recorded by pytest-looplet and replayed offline. `like: 2` with `keep: 4` stands for what call 2 sent, up
# to its 4th turn; below it is what came on top. `[3, 9]` under `lines` stands for lines 3 to 9 (the first is
# 0, the 9th not included) of the text at that place in that call.
"""
_END = "...\n"  # YAML's own end mark: without it a file that was cut would read as a shorter one
_LOOKED_AT = 64  # calls that are compared with one that continues none of them, as far as its reader saw
_ENDED = get_args(Ended)
_ASKED, _SAID = "the request", "the reply"


def dump(recording: Recording) -> str:
    """The text of a cassette file."""
    head: dict[str, Any] = {"looplet_cassette": VERSION}
    if recording.free_order:
        head["order"] = "free"
    entries: list[dict[str, Any]] = []
    written: list[Interaction] = []
    for interaction in recording.interactions:
        entries.append(_entry(interaction, written))
        written.append(interaction)
    return _HEAD + to_yaml({**head, "interactions": entries}) + _END


def _entry(interaction: Interaction, written: list[Interaction]) -> dict[str, Any]:
    request = interaction.request
    asked: dict[str, Any] = {"method": request.method, "url": request.url}
    if request.provider:
        asked["provider"] = request.provider
    if request.headers:
        asked["headers"] = _headers_out(request.headers)
    asked.update(_asked_body(interaction, written))
    return {"call": len(written) + 1, "request": asked, "reply": _reply_out(interaction.reply)}


def _asked_body(interaction: Interaction, written: list[Interaction]) -> Shown:
    body = interaction.body
    if body is None or body.style is None:
        return shown(interaction.request.body)
    style = {} if body.style == "compact" else {"style": body.style}
    number, kept = _nearest(interaction, body, written)
    base = written[number - 1].body if number else None
    left, repeated = take_out(body, base, kept) if base else (body.json, [])
    if base is None or not (kept or repeated):
        return {**style, "json": body.json}
    added = _added(replace(body, json=left), base, kept)
    if added is None:
        return {**style, "json": body.json}
    return {"like": number, "keep": kept, **style, **added, **({"repeated": repeated} if repeated else {})}


def _nearest(interaction: Interaction, body: Body, written: list[Interaction]) -> tuple[int, int]:
    """Which written call shares most turns with *body*, and how many; the newest of several.

    Where none shares a turn, it is the newest of the same kind: its prompt may be the beginning of this one.
    """
    best, most = 0, -1
    for number in range(len(written), 0, -1):
        other = written[number - 1]
        if other.body is None or other.body.thread != body.thread or other.body.style is None:
            continue
        if other.request.url != interaction.request.url:
            continue
        shared = _shared(body, other.body)
        if shared > most:
            best, most = number, shared
        if body.base is other.body or most == len(body.turns):
            break
        if body.base is None and len(written) - number > _LOOKED_AT:
            break
    return best, most


def _shared(body: Body, other: Body) -> int:
    if body.base is other and body.kept:
        return body.kept
    return sum(1 for _ in takewhile(bool, map(_same, body.turns, other.turns)))


def _added(body: Body, base: Body, kept: int) -> Shown | None:
    """The members that make *body* of *base*; None where that would change their order."""
    changed = {
        name: value
        for name, value in body.json.items()
        if name != body.thread and not (name in base.json and _same(base.json[name], value))
    }
    new_turns = body.turns[kept:]
    if new_turns:
        changed = {body.thread: new_turns, **changed}
    gone = [name for name in base.json if name not in body.json]
    made: Shown = {}
    if gone:
        made["without"] = gone
    if changed:
        made["json"] = changed
    return made if list(_continued(base, body.thread, kept, made)) == list(body.json) else None


def _same(a: Any, b: Any) -> bool:
    """Equal, and so are their types and key orders: 1 is not True, nor 1.0."""
    return a is b or (a == b and repr(a) == repr(b))


def _continued(base: Body, thread: str, kept: int, made: Shown) -> dict[str, Any]:
    """The JSON of a body that was written as what it adds to *base*."""
    added = dict(made.get("json", {}))
    gone = made.get("without", [])
    stays = {name: value for name, value in base.json.items() if name not in gone}
    if not thread:
        return stays | added
    return stays | added | {thread: base.turns[:kept] + list(added.pop(thread, []))}


def _reply_out(reply: Reply | None) -> dict[str, Any]:
    if reply is None or reply.failure:
        return {"failure": reply.failure if reply else "NoAnswer"}
    said: dict[str, Any] = {"status": reply.status}
    if reply.ended != "whole":
        said["ended"] = reply.ended
    if reply.kept_encoding:
        said["content_encoding"] = reply.kept_encoding
    if reply.headers:
        said["headers"] = _headers_out(reply.headers)
    return {**said, **shown(reply.body, events=reply.is_events)}


def _headers_out(headers: Headers) -> Any:
    if len({name for name, _ in headers}) == len(headers):
        return dict(headers)
    return [{name: value} for name, value in headers]


def load(text: bytes, path: str, *, mend: str = "") -> Recording:
    """The recording in the text of a cassette file.

    Args:
        text: The file's bytes.
        path: Named in errors.
        mend: How to record it again, for errors.
    Raises:
        CassetteUnreadable: it is empty, cut, damaged, foreign, or of another version.
    """
    try:
        if not text.strip():
            raise NotYaml("it is empty")
        data = from_yaml(text)
        if _is_vcrpys(data):
            return _recording(data, text)
        _check_version(data)
        if not text.rstrip().endswith(b"\n..."):
            raise NotYaml("it is cut: its last line, `...`, is missing", text.count(b"\n") + 1)
        return _recording(data, text)
    except NotYaml as error:
        raise CassetteUnreadable(path, str(error), line=error.line, mend=mend) from None


def _is_vcrpys(data: Any) -> bool:
    return (
        isinstance(data, dict)
        and data.get("version") == 1
        and "looplet_cassette" not in data
        and isinstance(data.get("interactions"), list)
    )


def _check_version(data: Any) -> None:
    if not isinstance(data, dict) or not isinstance(data.get("interactions"), list):
        raise NotYaml("it is no cassette: a mapping with `looplet_cassette` and `interactions` is expected")
    version = data.get("looplet_cassette")
    if type(version) is not int or version != VERSION:  # to Python, true is 1
        raise NotYaml(f"it has format version {version!r}; this pytest-looplet reads version {VERSION}")


def _recording(data: dict[str, Any], text: bytes) -> Recording:
    """What a file in our own format or in vcrpy's says."""
    ours = "looplet_cassette" in data
    interaction = _interaction if ours else VcrReader().interaction
    if ours and b"!!binary" in text and _holds_bytes(data):
        raise NotYaml("it has a value of type !!binary, which only vcrpy's cassettes have")
    recording = Recording(free_order=ours and data.get("order") == "free")
    for number, entry in enumerate(data["interactions"], 1):
        try:
            told = must_be(entry, dict, "it")
            recording.interactions.append(interaction(told, number, recording.interactions))
        except ValueError as error:
            call = f"call {number}" if ours else f"a damaged vcrpy cassette, interaction {number}"
            reason = f"{call} is damaged: {error}" if ours else f"{call}: {error}"
            raise NotYaml(reason, _line_of(text, number)) from None
    return recording


def _holds_bytes(value: Any) -> bool:
    if isinstance(value, (dict, list)):
        return any(map(_holds_bytes, value.values() if isinstance(value, dict) else value))
    return isinstance(value, bytes)


def _line_of(text: bytes, number: int) -> int | None:
    starts = list(re.finditer(rb"^- ", text, re.MULTILINE))
    return text.count(b"\n", 0, starts[number - 1].start()) + 1 if number <= len(starts) else None


def _interaction(entry: dict[str, Any], number: int, earlier: list[Interaction]) -> Interaction:
    if entry.get("call", number) != number:
        raise ValueError(f"it says `call: {entry['call']}`; calls must be numbered in their order")
    asked, said = member(entry, "request", dict, "it"), member(entry, "reply", dict, "it")
    path, _, query = member(asked, "url", str, _ASKED).partition("?")
    body = _body_in(asked, earlier)
    raw = b"" if body is not None else bytes_of(asked)
    if raw[:1] == b"{":
        body = _inexact(raw)
    method, provider = member(asked, "method", str, _ASKED), member(asked, "provider", str, _ASKED, "")
    return Interaction(
        Request(method, path, query, provider, raw, _headers_in(asked)), body, _reply_in(said), number
    )


def _inexact(raw: bytes) -> Body | None:
    """A body that is kept as text, because its JSON is written in a way of its own."""
    try:
        value = strict_json(raw)
    except ValueError:
        return None
    return Body(value, _thread_of(value), style=None)


def _body_in(asked: dict[str, Any], earlier: list[Interaction]) -> Body | None:
    style = style_in(asked)
    if "like" not in asked:
        value = asked.get("json")
        return Body(value, _thread_of(value), style) if isinstance(value, dict) else None
    like, kept = member(asked, "like", int, _ASKED), member(asked, "keep", int, _ASKED)
    base = earlier[like - 1].body if 1 <= like <= len(earlier) else None
    if base is None or not 0 <= kept <= len(base.turns):
        raise ValueError(f"it continues call {like} at turn {kept}, where there is none")
    added = member(asked, "json", dict, _ASKED, {})
    if base.thread:
        member(added, base.thread, list, "what it adds", [])
    member(asked, "without", list, _ASKED, [])
    repeated = member(asked, "repeated", list, _ASKED, [])
    made = put_in(_continued(base, base.thread, kept, asked), base.json, repeated)
    return Body(made, base.thread, style, kept, base if kept else None)


def _thread_of(value: dict[str, Any]) -> str:
    """The first member that holds turns, as the reader of live requests sees it."""
    for name, turns in value.items():
        if name in THREADS and isinstance(turns, list):
            return name
    return ""


def _reply_in(said: dict[str, Any]) -> Reply:
    if "failure" in said:
        return Reply(0, failure=member(said, "failure", str, _SAID))
    status, ended = member(said, "status", int, _SAID), member(said, "ended", str, _SAID, "whole")
    if ended not in _ENDED:
        raise ValueError(f"`ended` of {_SAID} must be {', '.join(_ENDED)}; not {ended!r}")
    kept = member(said, "content_encoding", str, _SAID, "")
    return Reply(status, _headers_in(said), bytes_of(said), cast(Ended, ended), kept_encoding=kept)


def _headers_in(entry: dict[str, Any]) -> Headers:
    headers = entry.get("headers", {})
    maps = headers if isinstance(headers, list) else [headers]
    pairs = [pair for one in maps for pair in must_be(one, dict, "`headers`").items()]
    return tuple((name, must_be(value, str, f"header `{name}`")) for name, value in pairs)
