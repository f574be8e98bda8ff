"""What people see when an expectation is not met: one file in `golden/` for each case.

Read the files as a user would. After a wanted change, `LOOPLET_GOLDEN=write pytest <this file>` writes
them again; look at the diff before you commit it.
"""

import os
import re
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest

from looplet.text import columns
from looplet.trajectory import RecordedCall, Trajectory
from looplet.types import ErrorKind, Step, ToolCall, ToolError, ToolResult, Usage
from pytest_looplet import Pattern, Unmet, call, expect
from pytest_looplet.compare import explain_comparison

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden"


def step(number, tool, args=None, data=None, *, error=None, kind=ErrorKind.EXECUTION, ms=0.0):
    detail = ToolError(kind, error) if error else None
    result = ToolResult(tool, "", data, error, detail, ms, call_id=f"c{number}")
    return Step(number, ToolCall(tool, args or {}, call_id=f"c{number}"), result)


def calls(count, tokens=458):
    usage = Usage(tokens - 58, 58)
    return tuple(RecordedCall(n, n, model="gpt-4o-mini", usage=usage) for n in range(1, count + 1))


PATHS = {
    "cassette": "tests/cassettes/test_refunds/test_refund_looks_before_it_pays.looplet.yaml",
    "rerecord": "pytest --looplet-record 'tests/test_refunds.py::test_refund_looks_before_it_pays'",
}

GOOD = Trajectory(
    run_id="good",
    task="Refund order 1234",
    steps=(
        step(1, "lookup_order", {"order_id": "1234"}, {"status": "shipped", "total": 99.0}, ms=2),
        step(2, "issue_refund", {"order_id": "1234", "amount": 99.0}, {"refunded": True}, ms=14),
        step(3, "done", {"answer": "Order 1234 is refunded."}, {"answer": "Order 1234 is refunded."}),
    ),
    model_calls=calls(3),
    stop_reason="done",
    usage=Usage(1200, 174),
    cost_usd=0.0123,
    final_output={"answer": "Order 1234 is refunded."},
    duration_ms=3210,
    metadata=PATHS,
)

HASTY = Trajectory(
    run_id="hasty",
    task="Refund order 1234",
    steps=(
        step(
            1,
            "issue_refund",
            {"order_id": "1234", "amount": 99.0},
            error="permission denied",
            kind=ErrorKind.PERMISSION_DENIED,
        ),
        step(2, "lookup_order", {"order_id": "1234"}, {"status": "shipped"}, ms=2),
        step(3, "done", {"answer": "refused"}, "ok"),
    ),
    model_calls=calls(4),
    stop_reason="done",
    usage=Usage(1600, 232),
    final_output={"answer": "refused"},
    metadata=PATHS,
)

STUCK = Trajectory(
    task={"id": "stuck", "goal": "find the price"},
    steps=(
        step(
            1,
            "search",
            {"query": "price of tea"},
            error="timed out after 5 s",
            kind=ErrorKind.TIMEOUT,
            ms=5000,
        ),
        step(
            2,
            "search",
            {"query": "price of tea"},
            error="timed out after 5 s",
            kind=ErrorKind.TIMEOUT,
            ms=5000,
        ),
        step(3, "__parse_error__", {}, error="no tool call in the reply", kind=ErrorKind.PARSE),
        step(4, "search", {"query": "tea"}, error="HTTP 503", kind=ErrorKind.NETWORK, ms=31),
    ),
    model_calls=(*calls(3), RecordedCall(4, 4, model="gpt-4o-mini")),
    stop_reason="budget_exhausted",
    usage=Usage(1200, 174),
    duration_ms=10_031,
)

DIED = Trajectory(
    steps=(
        step(1, "lookup_order", {"order_id": "1234"}, {"status": "shipped"}),
        step(2, "__llm_error__", {}, error="401: no such key", kind=ErrorKind.PERMISSION_DENIED),
    ),
    model_calls=(*calls(1), RecordedCall(2, 2, error="ModelError: 401: no such key")),
    stop_reason="llm_error",
    error="ModelError: 401: no such key",
    usage=Usage(400, 58),
)

HOSTILE = Trajectory(
    steps=(
        step(
            1,
            "fetch\x1b]0;owned\x07",
            {"\x1b[2Jurl": "http://x\r\n::error file=a.py::pwned"},
            "\x1b[31m##[error]red",
        ),
        step(
            2,
            "read",
            {"path": "\u202egpj.exe", "n": "a\nb"},
            error="::set-output name=x::y\n##vso[task.setvariable]z",
        ),
        step(3, "::error::", {}, {"::warning": "\u2028\u2066\ud800\U000e0041"}),
    ),
    stop_reason="::error::\x1b[0m",
    error="::error::died\n##[group]x",
    metadata={"cassette": "a\nb\x1b[1m.yaml"},
)

LONG = Trajectory(
    steps=(
        step(
            1,
            "search",
            {"query": "tea " * 500, "page": 1, "options": {"deep": [{"a": i} for i in range(90)]}},
            ["x" * 80] * 400,
            ms=1234567,
        ),
        step(
            2,
            "a_tool_with_a_name_that_is_much_longer_than_a_column",
            {f"argument_{n}": n for n in range(30)},
            "y" * 10_000,
        ),
        step(3, "send", {"text": "日本語のテキスト" * 40, "emoji": "👩‍💻" * 40}, {"stored": "日本語" * 100}),
    ),
    model_calls=calls(3),
    stop_reason="done",
    usage=Usage(1200, 174),
)

MANY = Trajectory(
    steps=tuple(
        step(n, "poll", {"job": n}, {"state": "running"}, ms=1)
        if n % 1000
        else step(n, "poll", {"job": n}, error="connection reset", kind=ErrorKind.NETWORK)
        for n in range(1, 10_001)
    ),
    model_calls=calls(10_000),
    stop_reason="budget_exhausted",
    usage=Usage(4_000_000, 580_000),
)

ORDERS = Trajectory(
    steps=tuple(step(n, "lookup_order", {"order_id": str(n)}, {"status": "shipped"}) for n in range(1, 61)),
    stop_reason="done",
)

LETTER = (
    "Dear customer, your order 1234 was refunded today. You will see the amount of 99.00 USD in three days."
)
LETTER_RUN = Trajectory(
    steps=(step(1, "done", {"answer": LETTER}, "ok"),), stop_reason="done", final_output={"answer": LETTER}
)

SCREENS = {
    "not called at all": lambda: expect(GOOD).to_call("send_mail"),
    "called under a name that was misspelt": lambda: expect(GOOD).to_call("isue_refund"),
    "called with other arguments": lambda: expect(GOOD).to_call("issue_refund", order_id="1234", amount=50.0),
    "called without an argument": lambda: expect(GOOD).to_call("issue_refund", reason="broken"),
    "argument against a regular expression": lambda: expect(GOOD).to_call(
        "issue_refund", order_id=re.compile(r"^9\d+")
    ),
    "argument against a class and a function": lambda: expect(GOOD).to_call(
        "issue_refund", amount=int, order_id=str.isalpha
    ),
    "true is not one": lambda: expect(GOOD).to_call("issue_refund", amount=True),
    "called too often": lambda: expect(STUCK).to_call("search", times=1),
    "called too seldom, with these arguments": lambda: expect(STUCK).to_call(
        "search", times=range(3, 6), query="price of tea"
    ),
    "called many times, never so": lambda: expect(ORDERS).to_call("lookup_order", order_id="61"),
    "called what it must not call": lambda: expect(GOOD).not_to_call("issue_refund"),
    "called with what it must not": lambda: expect(GOOD).not_to_call("issue_refund", amount=lambda a: a > 50),
    "called what it must not call, 10,000 times": lambda: expect(MANY).not_to_call("poll"),
    "nothing happened, so nothing is proved": lambda: expect(Trajectory()).not_to_call("delete_account"),
    "called others": lambda: expect(GOOD).to_only_call("lookup_order"),
    "called anything": lambda: expect(HASTY).to_only_call(),
    "wrong order": lambda: expect(HASTY).to_call_in_order("lookup_order", "issue_refund"),
    "order with a call that is missing": lambda: expect(GOOD).to_call_in_order(
        "lookup_order", "check_stock", "issue_refund"
    ),
    "order with a call twice": lambda: expect(GOOD).to_call_in_order("lookup_order", "lookup_order"),
    "strict match": lambda: expect(GOOD).to_match(
        ["lookup_order", "check_stock", call("issue_refund", amount=50.0)]
    ),
    "strict match, other order": lambda: expect(HASTY).to_match(["lookup_order", "issue_refund"]),
    "strict match, one late in a long run": lambda: expect(ORDERS).to_match(
        [call("lookup_order", order_id=str(n)) for n in range(1, 60)] + ["send_mail"]
    ),
    "strict match of everything against nothing": lambda: expect(ORDERS).to_match([]),
    "unordered match": lambda: expect(STUCK).to_match(
        ["search", call("search", query=ANY), call("search", query="coffee"), "calculate"], mode="unordered"
    ),
    "subset match": lambda: expect(STUCK).to_match(["search", "search"], mode="subset"),
    "superset match": lambda: expect(GOOD).to_match(["issue_refund", "send_mail"], mode="superset"),
    "match of another run": lambda: expect(HASTY).to_match(GOOD),
    "did not finish": lambda: expect(STUCK).to_finish(),
    "died": lambda: expect(DIED).to_finish(),
    "finished in another way": lambda: expect(GOOD).to_finish("cancelled"),
    "output is another": lambda: expect(HASTY).to_output(answer=re.compile("refunded")),
    "output lacks a field": lambda: expect(GOOD).to_output(status="refunded"),
    "output differs late": lambda: expect(LETTER_RUN).to_output(LETTER.replace("three", "five")),
    "no output": lambda: expect(STUCK).to_output("42"),
    "too many steps": lambda: expect(STUCK).to_stay_within(steps=2),
    "too many of everything": lambda: expect(GOOD).to_stay_within(
        steps=1, model_calls=2, tokens=1000, cost_usd=0.01, seconds=2, errors=0
    ),
    "tokens nobody counted": lambda: expect(STUCK).to_stay_within(tokens=10_000),
    "cost nobody knows": lambda: expect(STUCK).to_stay_within(cost_usd=1),
    "too many errors": lambda: expect(MANY).to_stay_within(errors=3),
    "an error": lambda: expect(HASTY).to_have_no_errors(),
    "errors": lambda: expect(STUCK).to_have_no_errors(),
    "no error to recover from": lambda: expect(STUCK).to_recover_from("rate_limit"),
    "did not recover": lambda: expect(STUCK).to_recover_from(ErrorKind.TIMEOUT),
    "let through": lambda: expect(GOOD).to_be_denied("issue_refund"),
    "never asked for, so never denied": lambda: expect(GOOD).to_be_denied("delete_account"),
    "text that would command a terminal": lambda: expect(HOSTILE).to_call("read", path="\x1b[31mx"),
    "text that would command a CI system": lambda: expect(HOSTILE).to_have_no_errors(),
    "long values and many of them": lambda: expect(LONG).to_call("search", query="coffee"),
    "wide characters": lambda: expect(LONG).not_to_call("send"),
}

COMPARISONS = {
    "two runs": lambda: (GOOD, HASTY),
    "two runs that did the same": lambda: (GOOD, replace(GOOD, run_id="again", duration_ms=1)),
    "two runs with a tool that answers otherwise": lambda: (GOOD, _answered_otherwise()),
    "a run and a pattern": lambda: (GOOD, Pattern(["lookup_order", call("issue_refund", amount=1.0)])),
    "a pattern and a run": lambda: (Pattern(["issue_refund"], mode="subset"), GOOD),
    "two long runs": lambda: (MANY, MANY[:5000]),
}


def _answered_otherwise():
    changed = step(1, "lookup_order", {"order_id": "1234"}, {"status": "lost", "total": 99.0})
    return Trajectory(steps=(changed, *GOOD.steps[1:]), stop_reason="done", final_output=GOOD.final_output)


def shown(check):
    with pytest.raises(Unmet) as caught:
        check()
    lines = f"pytest_looplet.Unmet: {caught.value}".split("\n")
    return [f"E       {line}" for line in lines]


def compared(pair):
    return [f"E       {'  ' * bool(n)}{line}" for n, line in enumerate(explain_comparison("==", *pair()))]


CASES = {name: (shown, case) for name, case in SCREENS.items()}
CASES |= {f"comparison of {name}": (compared, case) for name, case in COMPARISONS.items()}


@pytest.mark.parametrize("name", CASES)
def test_the_screen_is_the_one_that_was_read(name):
    show, case = CASES[name]
    text = "\n".join(show(case)) + "\n"
    path = GOLDEN / f"{re.sub(r'[^a-z0-9]+', '_', name.lower())}.txt"
    if os.environ.get("LOOPLET_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_PP_04_a_screen_fits_and_commands_nobody(name):
    show, case = CASES[name]
    lines = show(case)
    assert len(lines) <= 40
    assert max(columns(line) for line in lines) <= 100
    assert not [
        line
        for line in lines
        if re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", line)
    ]
    assert not [line for line in lines if line[4:].lstrip().startswith(("::", "##")) or "##[" in line]


def test_each_golden_file_has_its_case():
    names = {re.sub(r"[^a-z0-9]+", "_", name.lower()) for name in CASES}
    assert {path.stem for path in GOLDEN.glob("*.txt")} == names
