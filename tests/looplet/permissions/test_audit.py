"""The audit log: one record for each decision, a copy, bounded, without secrets, also in the trajectory."""

import json
import stat
import threading

import pytest

from looplet import PermissionDecision, PermissionEngine, PermissionHook, ToolCall, run_loop, tool, tools_from
from looplet.permissions import AuditLog, equals
from looplet.testing import ScriptedChatBackend, call

DENY = PermissionDecision.DENY


def rules(**fields):
    engine = PermissionEngine(**fields)
    engine.allow("look")
    engine.deny("delete", reason="never")
    engine.ask("pay", reason="money")
    return engine


ANSWERED = {
    "allowed by a rule": ("look", None, "allow", "rule", False, "allow look"),
    "denied by a rule": ("delete", None, "deny", "rule", False, "deny delete"),
    "by default": ("other", None, "deny", "default", False, ""),
    "nobody to ask": ("pay", None, "deny", "nobody", False, "ask pay"),
    "allowed by a person": ("pay", lambda c, r: "allow", "allow", "person", True, "ask pay"),
    "denied by a person": ("pay", lambda c, r: "deny", "deny", "person", True, "ask pay"),
    "no usable answer": ("pay", lambda c, r: 1 / 0, "deny", "nobody", True, "ask pay"),
    "no tool's name": ("no tool", None, "deny", "engine", False, ""),
}


@pytest.mark.parametrize(
    ("name", "handler", "verdict", "by", "asked", "rule"), ANSWERED.values(), ids=ANSWERED
)
def test_PE_12_each_decision_gives_one_record(name, handler, verdict, by, asked, rule):
    engine = rules(ask_handler=handler)
    engine.evaluate(ToolCall(name, {"n": 1}, call_id="c1"), step=3)
    [record] = engine.audit
    assert (record.tool, record.verdict, record.by, record.asked, record.rule) == (
        name,
        verdict,
        by,
        asked,
        rule,
    )
    assert record.source.startswith("test_audit.py:") == bool(rule)
    assert record.step == 3
    assert record.time > 0
    if by != "engine":
        assert (record.args, record.call_id) == ({"n": 1}, "c1")


def test_PE_11_records_are_copies():
    engine, asked = rules(), ToolCall("look", {"at": {"deep": [1]}})
    engine.evaluate(asked)
    asked.args["at"]["deep"].append(2)
    assert engine.audit[0].args == {"at": {"deep": [1]}}


def test_PE_12_secrets_are_in_no_record(monkeypatch, tmp_path):
    monkeypatch.setenv("SHOP_API_KEY", "kl92-mvq8-zz71-ww04")
    engine = PermissionEngine().deny("pay", arg_matcher=equals("kl92-mvq8-zz71-ww04", arg="key"), reason="x")
    engine.evaluate(ToolCall("pay", {"key": "kl92-mvq8-zz71-ww04", "password": "hunter2hunter2"}))
    engine.audit.save(tmp_path / "audit.jsonl")
    text = (tmp_path / "audit.jsonl").read_text()
    assert "kl92" not in text.replace(json.dumps(engine.audit[0].rule)[1:-1], "")
    assert "hunter2" not in text


def test_the_log_is_bounded():
    engine = rules(audit=AuditLog(limit=5))
    for n in range(12):
        engine.evaluate(ToolCall("delete", {"n": n}))
    assert [record.args["n"] for record in engine.audit] == [7, 8, 9, 10, 11]
    assert engine.audit.dropped == 7
    assert [denial["args"]["n"] for denial in engine.denials] == [7, 8, 9, 10, 11]


def test_lines_of_json_on_request(tmp_path):
    engine = rules()
    engine.evaluate(ToolCall("look", {"text": "é\u2028\x1b[2K\n"}))
    engine.evaluate(ToolCall("delete"))
    engine.audit.save(tmp_path / "log")
    lines = (tmp_path / "log").read_text("ascii").splitlines()
    assert [json.loads(line)["verdict"] for line in lines] == ["allow", "deny"]
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600
    assert engine.audit.to_jsonl() == (tmp_path / "log").read_text("ascii")


def test_a_file_that_grows_with_each_decision(tmp_path):
    engine = rules(audit=AuditLog(path=tmp_path / "log"))
    engine.evaluate(ToolCall("look"))
    assert len((tmp_path / "log").read_text().splitlines()) == 1
    engine.evaluate(ToolCall("delete"))
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_what_cannot_be_put_on_record_does_not_happen(tmp_path):
    engine = rules(audit=AuditLog(path=tmp_path / "no" / "log"))
    outcome = engine.evaluate(ToolCall("look"))
    assert outcome.denied
    assert "no audit record" in engine.denials[0]["reason"]


def test_PE_13_no_record_is_lost_under_threads():
    engine = rules()
    threads = [
        threading.Thread(target=lambda: [engine.evaluate(ToolCall("look", {"n": n})) for n in range(100)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(engine.audit) == 800


def test_PE_12_the_trajectory_holds_each_decision():
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    @tool
    def delete() -> str:
        """Delete."""
        return "gone"

    engine = rules().deny("done", arg_matcher=equals("no", arg="answer"))
    script = [call("look"), call("delete"), call("done", answer="no"), call("done", answer="ok")]
    tools = tools_from([look, delete], include_done=True)
    run = run_loop(ScriptedChatBackend(*script), task="t", tools=tools, hooks=[PermissionHook(engine)])
    told = [(d.step, d.tool, d.verdict, d.details["by"], d.details["rule"]) for d in run.decisions]
    assert told == [
        (1, "look", "allow", "rule", "allow look"),
        (2, "delete", "deny", "rule", "deny delete"),
        (3, "done", "deny", "rule", "deny done (answer is 'no')"),
        (4, "done", "allow", "default", "default"),
    ]
    assert all(d.details["source"].startswith("test_audit.py:") for d in run.decisions[:3])
    assert [record.step for record in engine.audit] == [1, 2, 3, 4]
