"""Builds what a row of the corpus describes: a workspace, an engine, a call. Nothing in it is executed."""

import json
import threading
import warnings
from pathlib import Path

from looplet import PermissionDecision, PermissionEngine, PermissionRule, ToolCall
from looplet.permissions import command_matcher, command_within, equals, path_within

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "permission_calls.jsonl").read_text("utf-8").splitlines()
]


def build_workspace(base):
    """A workspace with the links that the corpus speaks of, and what is around it; gives the folders."""
    ws, out, sib = base / "ws", base / "out", base / "ws-evil"
    for folder in (ws / "src", ws / "inner", out, sib):
        folder.mkdir(parents=True)
    for file in (
        ws / "src" / "a.py",
        ws / "src" / "b.py",
        ws / "inner" / "a.py",
        out / "secret.txt",
        sib / "x",
    ):
        file.write_text("x = 1\n", "utf-8")
    links = {
        "link_out": out,
        "link_file": out / "secret.txt",
        "link_in": ws / "src",
        "dangling": out / "not-there",
        "link_chain": ws / "link_out",
        "src/up": base,
        "up": "..",
        "loop": "loop",
    }
    for name, target in links.items():
        (ws / name).symlink_to(target)
    return {"{WS}": str(ws), "{OUT}": str(out), "{SIB}": str(sib), "{WSNAME}": ws.name}


def filled(value, places):
    """*value* with the names of the folders put in."""
    if isinstance(value, str):
        for name, place in places.items():
            value = value.replace(name, place)
        return value
    if isinstance(value, dict):
        return {key: filled(item, places) for key, item in value.items()}
    return [filled(item, places) for item in value] if isinstance(value, list) else value


class BadBool:
    def __bool__(self):
        raise RuntimeError("neither true nor false")


def raises(args):
    raise RuntimeError("matcher is broken")


def mutates(match):
    def matcher(args):
        args.update(match["set"])
        return match["ret"]

    return matcher


WEIRD = {"none": None, "bad_bool": BadBool()}

MATCHERS = {
    "command": lambda m: command_matcher(m["pattern"], arg=m["arg"]),
    "command_in": lambda m: command_within(m["pattern"], m["root"], arg=m["arg"]),
    "path_within": lambda m: path_within(m["root"], arg=m["arg"]),
    "equals": lambda m: equals(m["value"], arg=m["arg"]),
    "contains": lambda m: lambda args: m["value"] in args[m["arg"]],
    "raises": lambda m: raises,
    "mutates": mutates,
    "weird": lambda m: lambda args: WEIRD[m["what"]],
}

ANSWERS = {"allow": "allow", "deny": "deny", "none": None, "true": True, "ask": PermissionDecision.ASK}


class Person:
    """Answers what the row says, and counts the questions."""

    def __init__(self, manner):
        self.manner, self.asked = manner, 0

    def __call__(self, call, rule):
        self.asked += 1
        if self.manner == "raise":
            raise RuntimeError("no line")
        if self.manner == "hang":
            threading.Event().wait(5)
        return ANSWERS.get(self.manner)


def engine_of(rules):
    """The engine of a row whose places are filled in, and the person that it asks."""
    made = [
        PermissionRule(
            rule["tool"],
            rule["decision"],
            MATCHERS[rule["match"]["kind"]](rule["match"]) if rule["match"] else None,
        )
        for rule in rules["rules"]
    ]
    fields = {} if rules["default"] is None else {"default": PermissionDecision(rules["default"])}
    person = Person(rules["ask_handler"]) if rules["ask_handler"] else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PermissionEngine(made, ask_handler=person, ask_timeout_s=0.2, **fields), person


def calls_of(row):
    """The calls of a row whose places are filled in."""
    call = row["call"]
    return [ToolCall(one["tool"], one["args"]) for one in call.get("batch", [call])]
