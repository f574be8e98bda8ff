"""Rule files: what they say holds, and nothing in them is ignored."""

import json

import pytest

from looplet import PermissionDecision, PermissionEngine, ToolCall
from looplet.errors import ConfigError
from looplet.permissions import explain, load_rules
from looplet.permissions.files import LARGEST

TOML = """\
# what the agent may do
default = "deny"

[[rules]]
decision = "allow"
tool = "bash"
match = { kind = "command", pattern = ["git status*", "git diff*"] }

[[rules]]
decision = "deny"
tool = "write"
reason = "generated"
[rules.match]
kind = "path_within"
root = "gen"
cwd = "."
arg = "file_path"

[[rules]]
decision = "ask"
tool = "w*"
match = [
    { kind = "path_within", root = ".", arg = "file_path" },
    { kind = "regex", arg = "file_path", pattern = '.*\\.py' },
]
"""

AS_DATA = {
    "default": "deny",
    "rules": [
        {
            "decision": "allow",
            "tool": "bash",
            "match": {"kind": "command", "pattern": ["git status*", "git diff*"]},
        },
        {
            "decision": "deny",
            "tool": "write",
            "reason": "generated",
            "match": {"kind": "path_within", "root": "gen", "cwd": ".", "arg": "file_path"},
        },
        {
            "decision": "ask",
            "tool": "w*",
            "match": [
                {"kind": "path_within", "root": ".", "arg": "file_path"},
                {"kind": "regex", "arg": "file_path", "pattern": ".*\\.py"},
            ],
        },
    ],
}

VERDICTS = {
    "covered": ("bash", {"command": "git status && git diff"}, "allow", 1),
    "not covered": ("bash", {"command": "rm x"}, "deny", None),
    "denied": ("write", {"file_path": "gen/x.py"}, "deny", 2),
    "asked": ("write", {"file_path": "x.py"}, "ask", 3),
    "both must hold": ("write", {"file_path": "x.txt"}, "deny", None),
    "outside": ("write", {"file_path": "../x.py"}, "deny", None),
    "unknown tool": ("read", {}, "deny", None),
}


@pytest.fixture(params=["toml", "json"])
def rule_file(request, tmp_path):
    path = tmp_path / f"rules.{request.param}"
    path.write_text(TOML if request.param == "toml" else json.dumps(AS_DATA, indent=2), "utf-8")
    return path


@pytest.mark.parametrize(("tool", "args", "verdict", "rule"), VERDICTS.values(), ids=VERDICTS)
def test_a_file_decides(rule_file, tool, args, verdict, rule):
    found = explain(rule_file, {"tool": tool, "args": args})
    assert found.verdict == verdict
    rules = load_rules(rule_file).rules
    assert found.rule == (rules[rule - 1] if rule else None)
    engine = PermissionEngine.from_file(rule_file, ask_handler=lambda call, rule: "allow")
    assert engine.evaluate(ToolCall(tool, args)).allowed == (verdict != "deny")


ONE_IN_DOUBT = {
    "allows what fits": ("allow", {"a": 1, "b": "x"}, True),
    "allows nothing in doubt": ("allow", {"a": 1}, False),
    "denies what is in doubt": ("deny", {"a": 1}, False),
    "denies what is in doubt, the other way round": ("deny", {"b": "x"}, False),
    "denies nothing that one match is not about": ("deny", {"a": 2}, True),
}


@pytest.mark.parametrize(("decision", "args", "allowed"), ONE_IN_DOUBT.values(), ids=ONE_IN_DOUBT)
def test_PE_03_a_doubt_of_one_of_several_matches(tmp_path, decision, args, allowed):
    matches = [{"kind": "equals", "arg": "a", "value": 1}, {"kind": "equals", "arg": "b", "value": "x"}]
    rule = {"decision": decision, "tool": "pay", "match": matches}
    default = "deny" if decision == "allow" else "allow"
    (tmp_path / "rules.json").write_text(json.dumps({"default": default, "rules": [rule]}))
    engine = PermissionEngine.from_file(tmp_path / "rules.json")
    assert engine.evaluate(ToolCall("pay", args)).allowed == allowed


def test_rules_know_their_line(rule_file):
    lines = [rule.source for rule in load_rules(rule_file).rules]
    wanted = ("4", "9", "19") if rule_file.suffix == ".toml" else ("4", "15", "26")
    assert lines == [f"{rule_file.name}:{line}" for line in wanted]


def test_roots_start_from_the_file_or_from_a_folder_of_ones_own(tmp_path):
    (tmp_path / "conf").mkdir()
    path = tmp_path / "conf" / "rules.toml"
    path.write_text(
        '[[rules]]\ndecision = "allow"\ntool = "read"\nmatch = { kind = "path_within", root = "." }\n'
    )
    call = ToolCall("read", {"path": str(tmp_path / "a")})
    assert not PermissionEngine(list(load_rules(path).rules)).evaluate(call).allowed
    assert PermissionEngine(list(load_rules(path, base=tmp_path).rules)).evaluate(call).allowed


def test_every_kind_can_be_written(tmp_path):
    kinds = [
        {"kind": "equals", "arg": "a", "value": 1},
        {"kind": "one_of", "arg": "a", "values": ["x", 2]},
        {"kind": "regex", "arg": "a", "pattern": "x+"},
        {"kind": "path_within", "root": "."},
        {"kind": "url_host", "hosts": "a.test", "schemes": ["https"], "arg": "u"},
        {"kind": "command", "pattern": "ls*", "arg": "c", "also": ["cwd"]},
        {"kind": "command_within", "pattern": ["ls*"], "root": "."},
    ]
    path = tmp_path / "rules.json"
    path.write_text(
        json.dumps({"rules": [{"decision": "allow", "tool": "t", "match": kind} for kind in kinds]})
    )
    told = [str(rule) for rule in load_rules(path).rules]
    assert told[0] == "allow t (a is 1)"
    assert told[4] == "allow t (u is at a.test)"
    assert len(told) == 7


def test_an_empty_file_denies(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text("")
    assert load_rules(path).default is PermissionDecision.DENY
    assert load_rules(path).rules == ()


HEAD = '[[rules]]\ndecision = "allow"\ntool = "bash"\n'

BROKEN_TOML = {
    "not TOML": ("default = \n", 1, "not TOML"),
    "an unknown key": ('default = "deny"\nrule = []\n', 2, "unknown key 'rule'; did you mean 'rules'?"),
    "a default that asks": ('default = "ask"\n', 1, 'default is "allow" or "deny"'),
    "a default that is no word": ("\ndefault = true\n", 2, "default is"),
    "rules that are one table": ('[rules]\ntool = "x"\n', 1, "rules is a list of tables"),
    "a rule with a typo": (HEAD + 'reson = "x"\n', 4, "rule 1: unknown key 'reson'; did you mean 'reason'?"),
    "the second rule": (HEAD + '\n[[rules]]\ndecision = "deny"\n', 5, "rule 2: the key 'tool' is missing"),
    "no decision": ('[[rules]]\ntool = "x"\n', 1, "rule 1: the key 'decision' is missing"),
    "another decision": (
        '[[rules]]\ntool = "x"\ndecision = "alow"\n',
        3,
        'decision is "allow", "deny" or "ask"',
    ),
    "a tool that is no text": ('[[rules]]\ndecision = "deny"\ntool = 3\n', 3, "tool is a text, not 3"),
    "a tool that no tool is called": ('[[rules]]\ndecision = "deny"\ntool = "ba sh"\n', 3, "tool is a name"),
    "a reason that is no text": (HEAD + "reason = 1\n", 4, "reason is a text"),
    "a match that is a text": (HEAD + 'match = "git"\n', 4, "match is a table"),
    "an empty match": (HEAD + "match = {}\n", 4, "match is a table"),
    "no kind": (HEAD + 'match = { pattern = "x" }\n', 4, "kind is one of equals, "),
    "an unknown kind": (HEAD + 'match = { kind = "comand", pattern = "x" }\n', 4, "not 'comand'"),
    "a key of another kind": (HEAD + 'match = { kind = "command", root = "x" }\n', 4, "unknown key 'root'"),
    "a key missing": (HEAD + 'match = { kind = "command" }\n', 4, "the key 'pattern' is missing"),
    "a pattern that is a number": (
        HEAD + '[rules.match]\nkind = "command"\npattern = 5\n',
        6,
        "pattern is a text",
    ),
    "an empty list": (
        HEAD + 'match = { kind = "command", pattern = [] }\n',
        4,
        "pattern is a text or a list",
    ),
    "a slow regex": (
        HEAD + 'match = { kind = "regex", arg = "x", pattern = "(a+)+" }\n',
        4,
        "inside a repeat",
    ),
    "a host that is none": (HEAD + 'match = { kind = "url_host", hosts = "a b" }\n', 4, "url_host"),
    "a key twice": (HEAD + 'tool = "x"\n', 4, "not TOML"),
    "a key twice, without a line end": (HEAD + 'tool = "x"', 4, "not TOML"),
    "no line end": ("default", 1, "not TOML"),
    "a rule twice": (HEAD + HEAD, 4, "rule 2: says the same as rule 1"),
    "a rule and its opposite": (HEAD + HEAD.replace("allow", "deny"), 4, "rule 2: says the same as rule 1"),
}


@pytest.mark.parametrize(("text", "line", "problem"), BROKEN_TOML.values(), ids=BROKEN_TOML)
def test_PE_19_a_wrong_toml_file_is_refused_with_its_line(text, line, problem, tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as refused:
        load_rules(path)
    assert str(refused.value).startswith(f"{path}:{line}: ")
    assert problem in str(refused.value)


BROKEN_JSON = {
    "not JSON": ("{\n", 2, "not JSON"),
    "a list": ("[]", 1, "here belongs a table"),
    "a key twice": ('{"default": "deny",\n "default": "allow"}', 2, "the key 'default' stands there twice"),
    "an unknown key": ('{\n "defualt": "deny"}', 2, "did you mean 'default'?"),
    "not a number": ('{"default":\n "NaN", "rules":\n NaN}', 3, "NaN is no JSON number"),
    "a rule that is a text": ('{"rules":\n ["allow"]}', 2, "rule 1: here belongs a table, not str"),
    "deep in a rule": (
        '{"rules": [{"decision": "deny", "tool": "x"},\n {"decision": "deny", "tool": "y", "match":\n'
        ' {"kind": "command",\n "patern": "x"}}]}',
        4,
        "rule 2: unknown key 'patern'; did you mean 'pattern'?",
    ),
    "nested without end": ('{"rules": ' + "[" * 100_000, None, "nested too deep"),
}


@pytest.mark.parametrize(("text", "line", "problem"), BROKEN_JSON.values(), ids=BROKEN_JSON)
def test_PE_19_a_wrong_json_file_is_refused_with_its_line(text, line, problem, tmp_path):
    path = tmp_path / "rules.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as refused:
        load_rules(path)
    assert str(refused.value).startswith(f"{path}:{line}: " if line else str(path))
    assert problem in str(refused.value)


def test_PE_19_a_file_that_cannot_be_read_is_named(tmp_path):
    for name, problem in (("none.toml", "cannot be read"), ("rules.yaml", "is called"), (".", "is called")):
        with pytest.raises(ConfigError, match=problem):
            load_rules(tmp_path / name)
    with (tmp_path / "large.json").open("wb") as large:
        large.truncate(LARGEST + 1)
    with pytest.raises(ConfigError, match="larger than"):
        load_rules(tmp_path / "large.json")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(ConfigError, match="no UTF-8 text"):
        load_rules(tmp_path / "latin.toml")


def test_a_shadowed_rule_is_told_when_a_file_is_loaded(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(
        '[[rules]]\ndecision = "allow"\ntool = "b*"\n[[rules]]\ndecision = "deny"\ntool = "bash"\n'
    )
    with pytest.warns(UserWarning, match="rule 2 .* never counts: rule 1 decides first"):
        PermissionEngine.from_file(path)
    text = explain(path, {"tool": "bash", "args": {}}).text
    assert "2. deny bash [rules.toml:4]: does not decide; never can, because rule 1 covers it" in text


def test_explain_tells_the_doubt(rule_file):
    text = explain(rule_file, {"tool": "bash", "args": {"command": "git status > x"}}).text
    assert ": does not decide, because of a doubt: a redirection\n" in text
    assert text.endswith("default deny: decides")


@pytest.mark.parametrize("call", [{}, {"tool": "x", "arg": {}}, "bash", None, 3], ids=repr)
def test_explain_refuses_what_is_no_call(rule_file, call):
    with pytest.raises(ConfigError, match="a call is"):
        explain(rule_file, call)


def test_explain_denies_what_no_rule_may_see(rule_file):
    found = explain(rule_file, {"tool": "b\x1b sh", "args": {}})
    assert (found.verdict, found.rule) == ("deny", None)
    assert "\x1b" not in found.text
