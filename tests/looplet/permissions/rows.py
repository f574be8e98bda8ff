"""All tables of verdicts as one sequence of good and bad, for whoever changes the engine on purpose."""

import tempfile
import threading
from pathlib import Path

from looplet import (
    EventPayload,
    LifecycleEvent,
    PermissionDecision,
    PermissionEngine,
    PermissionHook,
    PermissionRule,
    ToolCall,
)
from looplet.permissions import command_matcher, command_within, path_within, url_host
from looplet.permissions.paths import Root
from tests.looplet.permissions import corpus, test_commands, test_engine, test_hook, test_matchers

ALLOW = PermissionDecision.ALLOW


def verdicts(base):
    """For each row of each table, whether the engine says what the row says."""
    for part in (engine_rows, hook_rows, value_rows, command_rows, corpus_rows, path_rows):
        yield from part(Path(tempfile.mkdtemp(dir=base)))


def engine_rows(base):
    for rules, verdict in [*test_engine.WINNERS.values(), *test_engine.DOUBTS.values()]:
        yield test_engine.engine(*rules).evaluate(test_engine.call(amount=500)).decision == verdict
    for answer in test_engine.NO_ANSWERS.values():
        yield (
            PermissionEngine(ask_handler=lambda c, r, a=answer: a).ask("pay").evaluate(ToolCall("pay")).denied
        )
    for limit in (None, 60.0):
        for answer in ("allow", ALLOW):
            fields = {"ask_handler": lambda c, r, a=answer: a, "ask_timeout_s": limit}
            yield PermissionEngine(**fields).ask("pay").evaluate(ToolCall("pay")).allowed
    refused = PermissionEngine(ask_handler=lambda c, r: "deny").ask("pay")
    yield refused.evaluate(ToolCall("pay")).by == "person"
    waiting = threading.Event()
    hangs = PermissionEngine(ask_handler=lambda c, r: waiting.wait(5), ask_timeout_s=0.01).ask("pay")
    yield hangs.evaluate(ToolCall("pay")).reason.startswith("no answer within")
    breaks = PermissionEngine(ask_handler=lambda c, r: c.nothing).ask("pay")
    yield breaks.evaluate(ToolCall("pay")).reason.startswith("asking failed")
    waiting.set()
    for broken in test_engine.NO_CALLS.values():
        yield PermissionEngine(default=ALLOW).allow("*").evaluate(broken).denied
    launder = PermissionEngine().deny("pay", arg_matcher=lambda args: args.clear())
    asked = ToolCall("pay", {"to": {"a": 1}})
    launder.evaluate(asked)
    yield asked.args == {"to": {"a": 1}}
    yield not PermissionRule("look", "allow").matches(ToolCall("pay"))
    yield PermissionEngine().evaluate_done(ToolCall("done")).allowed
    yield PermissionEngine().deny("*").evaluate_done(ToolCall("done")).denied


def hook_rows(base):
    for args in [{"amount": 1}, *test_hook.CHANGES.values()]:
        asked, call = test_hook.Asked(), ToolCall("pay", {"amount": 1})
        asked.hook.on_event(test_hook.before(call))
        call.args = args
        asked.answer = "deny"
        same = type(args["amount"]) is int and args == {"amount": 1}
        yield asked.hook.check_permission(call, None) is same
    hook = PermissionHook(PermissionEngine())
    yield hook.on_event(EventPayload(LifecycleEvent.PRE_TOOL_USE, tool_call=ToolCall("pay"))).is_block()
    yield hook.on_event(EventPayload(LifecycleEvent.POST_TOOL_USE, tool_call=ToolCall("pay"))) is None
    yield (
        not PermissionHook(PermissionEngine().allow("pay"))
        .on_event(test_hook.before(ToolCall("pay")))
        .is_block()
    )
    told = PermissionEngine()
    PermissionHook(told).on_event(
        EventPayload(LifecycleEvent.PRE_TOOL_USE, tool_call=ToolCall("pay"), step_num=3)
    )
    yield told.audit[0].step == 3
    judges = type("Judges", (), {"evaluate": PermissionEngine().evaluate})()
    yield not PermissionHook(judges).check_done_permission(ToolCall("done"), None).is_block()
    nested = test_hook.Asked()
    call = ToolCall("pay", {"to": [{"a": 1}]})
    nested.hook.on_event(test_hook.before(call))
    nested.answer = "deny"
    yield nested.hook.check_permission(ToolCall("pay", {"to": [{"a": 1}]}, call_id=call.call_id), None)


def value_rows(base):
    for matcher, args, wanted in test_matchers.VALUES.values():
        yield test_matchers.answer(matcher, args) == wanted
    hosts = url_host("example.com", "*.api.test", "local.test:8080")
    for url, wanted in test_matchers.HOSTS.values():
        yield test_matchers.answer(hosts, {"url": url}) == wanted
    for pattern in test_matchers.SLOW:
        yield refused(test_matchers.regex, pattern, arg="x")
    for make, value in ((url_host, "a/b"), (command_matcher, ""), (command_matcher, []), (path_within, "")):
        yield refused(make, value)
    yield refused(url_host)
    yield refused(test_matchers.one_of, arg="x")


def refused(make, *args, **kwargs):
    try:
        make(*args, **kwargs)
    except ValueError:
        return True
    return False


def command_rows(base):
    for pattern, command, covered in test_commands.COVERED:
        engine = PermissionEngine().allow("bash", arg_matcher=command_matcher(pattern))
        yield engine.evaluate(ToolCall("bash", {"command": command})).allowed == covered
    for pattern, command, met in test_commands.DENIED:
        engine = PermissionEngine(default=ALLOW).deny("bash", arg_matcher=command_matcher(pattern))
        yield engine.evaluate(ToolCall("bash", {"command": command})).denied == met
    for more, covered in test_commands.OTHER_ARGUMENTS.values():
        engine = PermissionEngine().allow("bash", arg_matcher=command_matcher("git status*"))
        yield engine.evaluate(ToolCall("bash", {"command": "git status", **more})).allowed == covered
    uses = test_commands.plain_uses()
    plain = PermissionEngine().allow("bash", arg_matcher=command_matcher("*"))
    yield sum(plain.evaluate(ToolCall("bash", {"command": use})).allowed for use in uses) >= 0.95 * len(uses)


def corpus_rows(base):
    places = corpus.build_workspace(base)
    for row in corpus.ROWS:
        if row["id"] in ("F-054", "F-057"):
            continue
        row = corpus.filled(row, places)
        engine, _ = corpus.engine_of(row["rules"])
        found = [engine.evaluate(call).decision.value for call in corpus.calls_of(row)]
        yield row["expected"] in ("any", found[-1])


def path_rows(base):
    ws = test_matchers.build(base / "paths")
    for path, wanted in test_matchers.PATHS.values():
        if isinstance(path, str):
            path = path.replace("{WS}", str(ws)).replace("{BASE}", str(ws.parent))
        got = test_matchers.answer(path_within(ws), {"path": path})
        yield got in (("no", "unsure") if wanted == "unsure_or_no" else (wanted,))
    for args, wanted in test_matchers.DEFAULTS.values():
        yield test_matchers.answer(path_within(ws, default="."), args) == wanted
        yield test_matchers.answer(path_within(ws, default=".."), args) == ("no" if not args else wanted)
    inside = test_commands.build(base / "within")
    for pattern, command, covered in test_commands.WITHIN:
        engine = PermissionEngine().allow("bash", arg_matcher=command_within(pattern, inside))
        call = ToolCall("bash", {"command": command.replace("{WS}", str(inside))})
        yield engine.evaluate(call).allowed == covered
    for root, pattern, command, covered in test_commands.FOLLOWED:
        engine = PermissionEngine().allow("bash", arg_matcher=command_within(pattern, inside / root))
        yield engine.evaluate(ToolCall("bash", {"command": command})).allowed == covered
    yield Root(inside) == Root(str(inside)) != Root(inside, "/")
    (base / "many").mkdir()
    for number in range(2100):
        (base / "many" / f"f{number}").touch()
    many = PermissionEngine().allow("bash", arg_matcher=command_within("cat *", base / "many"))
    yield many.evaluate(ToolCall("bash", {"command": "cat f*"})).denied
    yield many.evaluate(ToolCall("bash", {"command": "cat " + "x " * 600})).denied
