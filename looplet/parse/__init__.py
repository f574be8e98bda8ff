"""Tool calls in what a model wrote.

A call is a JSON object `{"tool": name, "args": {...}}`, the same in the spelling `{"name", "arguments"}`
(arguments as an object or as JSON text), or `{"tools": [...]}` around several. It stands alone, in a list, on
lines, in fences or in prose; `<think>` blocks are skipped, and objects nested in other data are data.

All functions take what comes and never raise. Where one call of a reply cannot be read the whole reply gives
nothing, so that a caller can ask again: a call is never dropped from between its neighbours, and a broken
one never gives up its insides.
"""

from __future__ import annotations

from collections.abc import Collection

from looplet.parse.calls import ARGS_KEYS, call_of, calls_in
from looplet.parse.decode import MAX_DEPTH, Unreadable, exactly
from looplet.types import Block, ToolCall
from looplet.values import JSON, plain


def to_text(raw: str | list[Block] | None) -> str | None:
    """The text of a reply: a string is itself, blocks give their text joined, None stays None."""
    if raw is None or isinstance(raw, str):
        return raw
    if not isinstance(raw, list):
        return None
    texts = [b.get("text") for b in raw if isinstance(b, dict) and b.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))


def parse_multi_tool_calls(raw: str | list[Block] | None) -> list[ToolCall]:
    """Every call in a reply, in the order written; `[]` where there is none or one cannot be read.

    `theory` beside a call is kept as the argument `__theory__`; `reasoning` stays with the call.
    """
    text = raw if type(raw) is str else to_text(raw)
    if not text:
        return []
    text = text.strip()
    try:
        whole = exactly(text) if text[:1] == "{" and text[-1] == "}" else None
        if whole is None:
            return [call for found in _scanned(text) for call in calls_in(found)]
        if "tool" in whole and "tools" not in whole:
            return [call_of(whole, "tool", ARGS_KEYS, whole)]
        return calls_in(whole)
    except (Unreadable, RecursionError):
        return []


def parse_tool_call(raw: str | list[Block] | None) -> ToolCall | None:
    """The one call of a reply, or None where there is none, more than one, or a `tools` list."""
    text = to_text(raw)
    if not text:
        return None
    try:
        calls = [call for found in _scanned(text) if "tools" not in found for call in calls_in(found)]
    except (Unreadable, RecursionError):
        return None
    return calls[0] if len(calls) == 1 else None


def contract_call(text: str, names: Collection[str]) -> ToolCall | None:
    """The call of a tool in *names* that *text* is as a whole (a fence around it is allowed), or None."""
    whole = text.strip()
    if whole.startswith("```"):
        from looplet.parse.scan import inside_fence

        whole = inside_fence(whole)
    if not (whole.startswith("{") and whole.endswith("}")):
        return None
    try:
        found = exactly(whole)
        call = call_of(found, "tool", ARGS_KEYS) if found and "tool" in found else None
    except (Unreadable, RecursionError):
        return None
    return call if call and call.tool in names else None


def parse_native_tool_use(blocks: list[Block]) -> list[ToolCall]:
    """The calls of a block list: one for each `tool_use` block, under the block's id.

    `[]` where a block has no name or an input that is no JSON object: the reply as a whole is unreadable.
    """
    if not isinstance(blocks, list):
        return []
    uses = [b for b in blocks if isinstance(b, dict) and b.get("type") == "tool_use"]
    calls = [native_call(block) for block in uses]
    found = [call for call in calls if call is not None]
    return found if len(found) == len(calls) else []


def native_call(block: Block) -> ToolCall | None:
    """The call of one `tool_use` block, or None where its name or its input cannot be one."""
    name, given, call_id = block.get("name"), block.get("input"), block.get("id")
    given = {} if given is None else given
    if not isinstance(name, str) or not name or not isinstance(given, dict):
        return None
    try:
        if not plain(given, MAX_DEPTH + 1):
            return None
    except RecursionError:
        return None
    return ToolCall(tool=name, args=dict(given), call_id=call_id if isinstance(call_id, str) else "")


def _scanned(text: str) -> list[dict[str, JSON]]:
    from looplet.parse.scan import objects_in  # its patterns are slow to compile

    return objects_in(text)
