"""JSON objects as tool calls."""

from __future__ import annotations

from looplet.parse.decode import Unreadable, exactly
from looplet.types import ToolCall
from looplet.values import JSON

ARGS_KEYS = ("args", "arguments")


def looks_like_call(value: dict[str, JSON]) -> bool:
    """Whether *value* is meant as a call or as several, be it well-formed or not."""
    return "tool" in value or "tools" in value or ("name" in value and "arguments" in value)


def calls_in(value: dict[str, JSON]) -> list[ToolCall]:
    """The calls that an object on the top level of a reply is: one, several, or none.

    Raises:
        Unreadable: it is a call with a name or arguments of a wrong type.
    """
    if "tools" in value and isinstance(several := value["tools"], list):
        if "tool" in value:
            raise Unreadable("both a call and a list of calls")
        items = [item for item in several if isinstance(item, dict)]
        return [call for item in items for call in _single(item, value)]
    return _single(value, value)


def _single(value: dict[str, JSON], around: dict[str, JSON]) -> list[ToolCall]:
    if "tool" in value:
        return [call_of(value, "tool", ARGS_KEYS, around)]
    if "name" in value and "arguments" in value:
        return [call_of(value, "name", ("arguments",), around)]
    return []


def call_of(
    value: dict[str, JSON], name_key: str, args_keys: tuple[str, ...], around: dict[str, JSON] | None = None
) -> ToolCall:
    """The call that *value* is.

    Args:
        name_key: The key of the tool's name.
        args_keys: The keys its arguments may have; the first one present counts.
        around: Where `theory` and `reasoning` are taken from when *value* has none.

    Raises:
        Unreadable: its name or its arguments have a wrong type.
    """
    name = value[name_key]
    if not isinstance(name, str) or not name:
        raise Unreadable("a call whose name is no text")
    args = value.get(args_keys[0])
    if type(args) is not dict:
        args = _args_of(value, args_keys)
    theory, reasoning = value.get("theory"), value.get("reasoning")
    if around is not None and around is not value:
        theory, reasoning = theory or around.get("theory"), reasoning or around.get("reasoning")
    if theory and isinstance(theory, str):
        args["__theory__"] = theory
    return ToolCall(name, args, reasoning if isinstance(reasoning, str) else "")


def _args_of(value: dict[str, JSON], keys: tuple[str, ...]) -> dict[str, JSON]:
    for key in keys:
        if key in value:
            args = value[key]
            if key == "arguments" and isinstance(args, str):
                args = exactly(args.strip())
            if not isinstance(args, dict):
                raise Unreadable(f"{key} that are no object")
            return args
    return {}
