"""The permission engine: which rule wins, and that every doubt is a denial."""

import inspect
import threading
import warnings

import pytest
from hypothesis import given, strategies as st

from looplet import PermissionDecision, PermissionEngine, PermissionRule, ToolCall
from looplet.errors import ConfigError
from looplet.permissions import PermissionOutcome, command_matcher

pytestmark = pytest.mark.slow

ALLOW, DENY, ASK, DEFAULT = PermissionDecision


def call(tool="pay", /, **args):
    return ToolCall(tool, args)


def big(args):
    return args["amount"] > 100


def breaks(args):
    raise RuntimeError("matcher is broken")


def engine(*rules, **fields):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PermissionEngine([PermissionRule(*rule) for rule in rules], **fields)


WINNERS = {
    "nothing said": ([], "deny"),
    "the rule names the tool": ([("pay", ALLOW)], "allow"),
    "the rule names another tool": ([("look", ALLOW)], "deny"),
    "names are compared in any case": ([("PAY", DENY), ("*", ALLOW)], "deny"),
    "a glob names many tools": ([("p*", ALLOW)], "allow"),
    "a glob in any case": ([("P?Y", ALLOW)], "allow"),
    "a glob of other tools": ([("pay?", ALLOW)], "deny"),
    "a glob with text after it": ([("*y", DENY), ("*", ALLOW)], "deny"),
    "several stars": ([("*a*y", ALLOW)], "allow"),
    "another head before two stars": ([("x*a*y", ALLOW)], "deny"),
    "a star does not use a letter twice": ([("pay*y", ALLOW)], "deny"),
    "a star is every tool": ([("*", ALLOW)], "allow"),
    "first wins, deny before allow": ([("pay", DENY), ("pay", ALLOW)], "deny"),
    "first wins, allow before deny": ([("pay", ALLOW), ("pay", DENY)], "allow"),
    "the matcher says yes": ([("pay", DENY, big), ("pay", ALLOW)], "deny"),
    "the matcher says no": ([("pay", ALLOW, lambda args: False)], "deny"),
    "a default rule leaves it to the default": ([("pay", DEFAULT), ("pay", ALLOW)], "deny"),
    "nobody to ask": ([("pay", ASK), ("pay", ALLOW)], "deny"),
    "decisions may be spelled out": ([("pay", "allow")], "allow"),
}


@pytest.mark.parametrize(("rules", "verdict"), WINNERS.values(), ids=WINNERS)
def test_PE_01_the_first_rule_that_matches_decides(rules, verdict):
    assert engine(*rules).evaluate(call(amount=500)).decision == verdict


@pytest.mark.parametrize("default", [ASK, DEFAULT, DENY, "yes", None, True])
def test_PE_01_only_an_allowing_default_allows(default):
    assert PermissionEngine(default=default, ask_handler=lambda call, rule: "allow").evaluate(call()).denied


def test_a_deny_list_says_so_with_its_default():
    rules = PermissionEngine(default=ALLOW).deny("delete", reason="never")
    assert rules.evaluate(call("look")).allowed
    assert rules.evaluate(call("delete")).reason == "never"


class Unprintable(Exception):
    """What cannot be shown in a reason."""

    def __repr__(self):
        raise ValueError

    __str__ = __repr__


NO_ANSWERS = {
    "what cannot be shown": Unprintable(),
    "none": None,
    "a bool": True,
    "another word": "yes",
    "ask again": ASK,
    "a number": 1,
    "a no": "deny",
}


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_PE_02_an_unusable_answer_denies(answer):
    rules = PermissionEngine(ask_handler=lambda call, rule: answer).ask("pay", reason="money")
    outcome = rules.evaluate(call())
    assert outcome.denied
    assert outcome.reason.startswith("money: ")
    assert len(rules.denials) == len(rules.audit) == 1


def throw(*_):
    raise Unprintable


def test_PE_02_an_error_that_cannot_be_shown_denies():
    rules = PermissionEngine(ask_handler=throw).ask("pay")
    assert rules.evaluate(call()).reason == "asking failed (Unprintable)"


@pytest.mark.parametrize(("decision", "default"), [(ALLOW, DENY), (DENY, ALLOW), (ASK, ALLOW)])
def test_PE_03_an_error_that_cannot_be_shown_widens_nothing(decision, default):
    rules = PermissionEngine([PermissionRule("pay", decision, throw)], default=default)
    assert rules.evaluate(call()).denied
    assert "Unprintable" in rules.audit[0].reason


@pytest.mark.parametrize("answer", ["allow", ALLOW], ids=["word", "member"])
@pytest.mark.parametrize("limit", [60.0, None], ids=["with a limit", "without"])
def test_an_answer_lets_the_call_run(answer, limit):
    asked = []
    rules = PermissionEngine(ask_handler=lambda *a: asked.append(a) or answer, ask_timeout_s=limit).ask("pay")
    outcome = rules.evaluate(call(amount=7))
    assert outcome.allowed
    assert [(c.args, rule) for c, rule in asked] == [({"amount": 7}, rules.rules[0])]
    assert rules.denials == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, TimeoutError])
@pytest.mark.parametrize("limit", [60.0, None], ids=["with a limit", "without"])
def test_PE_02_a_handler_that_raises_denies(error, limit):
    def handler(call, rule):
        raise error("no line")

    rules = PermissionEngine(ask_handler=handler, ask_timeout_s=limit).ask("pay")
    assert rules.evaluate(call()).denied
    assert "no line" in rules.denials[0]["reason"]


def test_PE_02_a_handler_that_never_answers_denies():
    waiting = threading.Event()
    rules = PermissionEngine(ask_handler=lambda *a: waiting.wait(30), ask_timeout_s=0.05).ask("pay")
    outcome = rules.evaluate(call())
    waiting.set()
    assert outcome.denied
    assert outcome.reason == "no answer within 0.05 s"


class Unruly(dict):
    def __deepcopy__(self, memo):
        raise RuntimeError("not mine to copy")


DOUBTS = {
    "a deny rule counts when its matcher raises": ([("pay", DENY, breaks), ("pay", ALLOW)], "deny"),
    "an ask rule counts when its matcher raises": ([("pay", ASK, breaks), ("pay", ALLOW)], "deny"),
    "an allow rule does not": ([("pay", ALLOW, breaks)], "deny"),
    "an allow rule does not count on a truthy answer": ([("pay", ALLOW, lambda args: "yes")], "deny"),
    "a deny rule counts on an answer that is no bool": (
        [("pay", DENY, lambda a: None), ("pay", ALLOW)],
        "deny",
    ),
    "a default rule that raises is passed over": ([("pay", DEFAULT, breaks), ("pay", ALLOW)], "allow"),
}


@pytest.mark.parametrize(("rules", "verdict"), DOUBTS.values(), ids=DOUBTS)
def test_PE_03_doubt_never_widens_access(rules, verdict):
    assert engine(*rules).evaluate(call(amount=500)).decision == verdict


NO_CALLS = {
    "arguments are a list": ToolCall("pay", ["amount", 5]),
    "arguments are nothing": ToolCall("pay", None),
    "an argument has no text name": ToolCall("pay", {1: 2}),
    "arguments cannot be copied": ToolCall("pay", {"to": Unruly()}),
    "the tool is no text": ToolCall(None, {}),
    "no call at all": None,
    "a name with a blank": ToolCall("pay ", {}),
    "no name": ToolCall("", {}),
    "a star for a name": ToolCall("*", {}),
    "a name in other letters": ToolCall("раy", {}),
    "a name without end": ToolCall("a" * 65, {}),
}


@pytest.mark.parametrize("call", NO_CALLS.values(), ids=NO_CALLS)
def test_PE_07_what_is_no_call_matches_no_allow_rule(call):
    rules = PermissionEngine(default=ALLOW).allow("*")
    assert rules.evaluate(call).denied
    assert len(rules.denials) == 1


def test_PE_03_a_rule_that_is_no_rule_denies():
    rules = PermissionEngine(default=ALLOW)
    rules.rules.append("allow everything")
    assert rules.evaluate(call()).denied
    with pytest.raises(ConfigError, match="rule 1 is a str"):
        PermissionEngine(["allow everything"])


def test_PE_08_a_matcher_gets_a_copy():
    def launder(args):
        args["to"]["account"] = "mine"
        return False

    seen = []
    rules = PermissionEngine().deny("pay", arg_matcher=launder)
    rules.allow("pay", arg_matcher=lambda args: seen.append(args) or True)
    asked = call(to={"account": "theirs"})
    assert rules.evaluate(asked).call.args == {"to": {"account": "theirs"}}
    assert asked.args == seen[0] == {"to": {"account": "theirs"}}


def test_PE_11_a_denial_is_a_copy():
    asked = call(to={"account": "theirs"})
    rules = PermissionEngine().deny("pay", reason="no")
    rules.evaluate(asked)
    asked.args["to"]["account"] = "mine"
    assert rules.denials == [
        {"tool": "pay", "args": {"to": {"account": "theirs"}}, "rule": "pay", "reason": "no"}
    ]


def test_a_denial_by_default_names_no_rule():
    rules = PermissionEngine()
    rules.evaluate(call())
    assert rules.denials == [{"tool": "pay", "args": {}, "rule": None, "reason": "no rule matched"}]


SHOWN = {
    "a short text": ("x", "x"),
    "a key in a text": ("use sk-abcdefghijklmnop1234 now", "use [redacted:api key] now"),
    "a word that only looks like one": ("basic understanding", "basic understanding"),
    "a long list is cut": (list(range(60)), [*range(50), "… [60 items]"]),
    "a secret by its name": ({"api_key": "hunter2"}, {"api_key": "[redacted:field]"}),
    "a number is no secret": ({"max_tokens": 5}, {"max_tokens": 5}),
    "nothing is nothing": ({"password": None, "token": ""}, {"password": None, "token": ""}),
    "an object is its type": (object(), "<object>"),
}


@pytest.mark.parametrize(("value", "shown"), SHOWN.values(), ids=SHOWN)
def test_PE_12_a_denial_is_bounded_and_without_secrets(value, shown):
    rules = PermissionEngine()
    rules.evaluate(ToolCall("pay", {"v": value}))
    assert rules.denials[0]["args"] == {"v": shown}


def test_PE_12_a_long_text_is_cut_after_its_secrets_are_taken_out(monkeypatch):
    monkeypatch.setenv("SHOP_API_KEY", "kl92-mvq8-zz71-ww04")
    rules = PermissionEngine()
    rules.evaluate(ToolCall("pay", {"v": "x" * 990 + "kl92-mvq8-zz71-ww04" + "y" * 5000}))
    text = rules.denials[0]["args"]["v"]
    assert len(text) <= 2000
    assert "kl92" not in text


def test_PE_12_a_denial_ends_where_nesting_or_entries_do_not():
    deep = {}
    deep["again"] = deep
    rules = PermissionEngine()
    rules.evaluate(ToolCall("pay", {"deep": deep, **{f"k{n}": n for n in range(80)}}))
    assert len(repr(rules.denials)) < 1000
    assert rules.denials[0]["args"]["…"] == "81 entries"


def test_PE_13_no_denial_is_lost_under_threads():
    rules = PermissionEngine()
    threads = [
        threading.Thread(target=lambda: [rules.evaluate(call(n=n)) for n in range(200)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rules.denials) == 1600


def test_PE_14_ten_thousand_rules_and_a_long_command():
    rules = PermissionEngine()
    for n in range(10_000):
        rules.deny(f"tool{n}", arg_matcher=lambda args: "x" in args)
    assert rules.evaluate(call("other", command="x" * 200_000)).denied
    assert rules.evaluate(call("tool9999", command="x" * 200_000)).rule is None


@pytest.mark.parametrize(
    "command", ["x" * 200_000, "x " * 100_000, "$(" * 100_000, "ls;" * 66_000, "'\"" * 100_000]
)
def test_PE_14_ten_thousand_rules_about_commands_and_a_long_one(command):
    some = command_matcher("git status*")
    rules = PermissionEngine(default=ALLOW)
    rules.rules += [PermissionRule("bash", DENY, command_matcher(f"tool{n} *")) for n in range(10_000)]
    assert rules.evaluate(call("bash", command="ls -la")).allowed
    assert rules.evaluate(call("bash", command=command)).denied
    assert PermissionEngine().allow("bash", arg_matcher=some).evaluate(call("bash", command=command)).denied


def test_done_obeys_rules_and_not_the_default():
    assert PermissionEngine().evaluate_done(call("done")).allowed
    assert PermissionEngine().deny("done").evaluate_done(call("done")).denied
    assert PermissionEngine().deny("*").evaluate_done(call("done")).denied


def test_a_rule_that_never_counts_is_warned_about():
    rules = PermissionEngine().allow("pay")
    with pytest.warns(UserWarning, match=r"rule 2 \(deny pay.*\) never counts: rule 1 decides first") as seen:
        rules.deny("pay", arg_matcher=big)
    assert seen[0].filename == __file__
    with pytest.warns(UserWarning, match="rule 3"):
        rules.deny("PAY")
    with pytest.warns(UserWarning, match="never counts"):
        PermissionEngine([PermissionRule("*", DENY), PermissionRule("pay", ALLOW)])


@pytest.mark.filterwarnings("ignore:rule 3")
def test_explain_says_who_decides():
    rules = PermissionEngine().deny("pay", arg_matcher=big).allow("pay").deny("pay")
    here = f"test_engine.py:{inspect.currentframe().f_lineno - 1}"
    assert rules.explain(call(amount=5)).splitlines() == [
        f"1. deny pay (some arguments) [{here}]: does not decide",
        f"2. allow pay [{here}]: decides",
        f"3. deny pay [{here}]: does not decide; never can, because rule 2 covers it",
        "default deny: is not reached",
    ]
    assert rules.explain(call("look")).endswith("default deny: decides")
    assert rules.denials == []


BROKEN_RULES = {
    "no such decision": ("pay", "maybe"),
    "no tool": ("", ALLOW),
    "a tool that is no text": (None, ALLOW),
    "a tool that no tool can be called": ("ba sh", ALLOW),
    "a matcher that is no function": ("pay", ALLOW, "amount > 5"),
}


@pytest.mark.parametrize("rule", BROKEN_RULES.values(), ids=BROKEN_RULES)
def test_a_rule_that_cannot_be_one_is_refused(rule):
    with pytest.raises(ConfigError, match="PermissionRule"):
        PermissionRule(*rule)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(args=st.dictionaries(st.text(), json_values, max_size=5) | json_values, tool=st.text())
def test_any_call_is_decided_and_never_raises(args, tool):
    rules = PermissionEngine(ask_timeout_s=None).ask("a").deny("b", arg_matcher=breaks)
    assert rules.evaluate(ToolCall(tool, args)).denied
    assert len(rules.denials) == 1


def test_an_outcome_says_who_decided_and_why():
    made = engine(("pay", DENY, None, "not today"), default="allow")
    outcome = made.evaluate(call())
    assert isinstance(outcome, PermissionOutcome)
    assert (outcome.denied, outcome.allowed, outcome.reason) == (True, False, "not today")
    assert (outcome.rule, outcome.by, outcome.asked) == (made.rules[0], "rule", False)
    other = made.evaluate(call("look"))
    assert (other.allowed, other.rule, other.by) == (True, None, "default")
    assert PermissionOutcome(ALLOW).allowed
