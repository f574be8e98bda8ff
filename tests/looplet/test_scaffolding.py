"""Pieces for loops of one's own: one call with retries, sizes, results and logs made smaller."""

from __future__ import annotations

import pytest

from looplet import CancelToken, DefaultState, SessionLog, scaffolding
from looplet.scaffolding import (
    MAX_LLM_RETRIES,
    LLMResult,
    age_session_entries,
    build_parse_recovery_prompt,
    emergency_truncate,
    estimate_prompt_tokens,
    estimate_tokens,
    is_context_oversized,
    llm_call_with_retry,
    trim_results,
)
from looplet.testing import MockLLMBackend
from looplet.types import Step, ToolCall, ToolResult


@pytest.fixture
def slept(monkeypatch):
    """The pauses that were made, in seconds; they take no time."""
    seconds = []
    monkeypatch.setattr(scaffolding.time, "sleep", seconds.append)
    return seconds


class Flaky:
    """Raises what it is given, one after the other, then answers."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.asked = []
        self.last_stop_reason = None

    def generate(self, prompt, *, max_tokens=2000, system_prompt="", temperature=0.2):
        self.asked.append(prompt)
        if self.failures:
            raise self.failures.pop(0)
        return "fine"


def test_a_result():
    good, bad = LLMResult("text", stop_reason="end_turn"), LLMResult(None, ValueError("no"))
    assert (good.ok, good.text, good.stop_reason, good.continuations) == (True, "text", "end_turn", 0)
    assert (bad.ok, bad.is_prompt_too_long) == (False, False)
    assert not hasattr(good, "__dict__")


def test_a_failure_that_may_pass_is_tried_again(slept):
    llm = Flaky(ConnectionError("down"), TimeoutError("slow"))
    result = llm_call_with_retry(llm, "hi")
    assert (result.text, len(llm.asked), slept) == ("fine", 3, [1.0, 2.0])


def test_after_so_many_attempts_it_is_told_why(slept):
    problem = ConnectionError("down")
    llm = Flaky(*[problem] * 9)
    result = llm_call_with_retry(llm, "hi")
    assert (result.ok, result.error, len(llm.asked)) == (False, problem, MAX_LLM_RETRIES + 1)


@pytest.mark.parametrize(
    ("problem", "too_long"),
    [
        (KeyError("a bug"), False),
        (RuntimeError("maximum context length is 8192 tokens"), True),
    ],
)
def test_what_cannot_succeed_is_not_tried_again(slept, problem, too_long):
    llm = Flaky(problem)
    result = llm_call_with_retry(llm, "hi")
    assert (len(llm.asked), slept, result.is_prompt_too_long) == (1, [], too_long)


def test_a_cancelled_call_is_not_tried_again(slept):
    token = CancelToken()
    token.cancel()
    llm = Flaky(ConnectionError("down"))
    assert not llm_call_with_retry(llm, "hi", cancel_token=token).ok
    assert len(llm.asked) == 1


def test_a_text_that_was_cut_is_asked_on_for():
    class Cut(Flaky):
        def generate(self, prompt, **options):
            self.last_stop_reason = "max_tokens" if len(self.asked) < 2 else "end_turn"
            self.asked.append(prompt)
            return f"part {len(self.asked)} "

    llm = Cut()
    result = llm_call_with_retry(llm, "hi", max_continuations=5)
    assert (result.text, result.continuations) == ("part 1 part 2 part 3 ", 2)
    assert "part 1 part 2" in llm.asked[2]


def test_tools_go_to_the_method_that_takes_them():
    class Native(Flaky):
        def generate_with_tools(self, prompt, *, tools, **options):
            return [{"type": "text", "text": tools[0]["name"]}]

    assert llm_call_with_retry(Native(), "hi", tools=[{"name": "t"}]).text[0]["text"] == "t"
    assert llm_call_with_retry(Flaky(), "hi", tools=[{"name": "t"}]).text == "fine"


def test_sizes():
    assert [estimate_tokens(text) for text in ("", "abc", "x" * 400)] == [1, 1, 100]
    assert estimate_prompt_tokens is estimate_tokens
    assert not is_context_oversized("x" * 300, context_window=100)
    assert is_context_oversized("x" * 304, context_window=100)


def test_what_a_model_is_told_of_an_unreadable_reply():
    prompt = build_parse_recovery_prompt("do it", "{broken")
    assert "do it" in prompt
    assert "{broken" in prompt


def step(number, data, error=None):
    return Step(number, ToolCall("t"), ToolResult("t", "", data, error=error))


class TestTrimResults:
    def test_the_largest_first_until_they_fit(self):
        steps = [step(1, "a" * 100), step(2, "b" * 2000), step(3, "c" * 1500)]
        trim_results(steps, per_result_chars=10_000, aggregate_chars=3000)
        assert [isinstance(s.tool_result.data, dict) for s in steps] == [False, True, False]

    def test_each_that_is_too_large(self):
        rows = [{"n": n} for n in range(100)]
        steps = [step(1, list(range(1000))), step(2, {"rows": rows, "x": "y" * 3000}), step(3, "z" * 3000)]
        before = list(steps)
        trim_results(steps, per_result_chars=1000)
        listed, table, text = [s.tool_result.data for s in steps]
        assert (listed["__compacted__"], listed["original_count"], listed["sample"]) == (
            True,
            1000,
            [0, 1, 2],
        )
        assert (table["total_rows"], len(table["rows"])) == (100, 3)
        assert text["total_chars"] == 3000
        assert before[0].tool_result.data == list(range(1000))

    def test_errors_and_digests_stay(self):
        digest = {"__compacted__": True, "x": "y" * 5000}
        steps = [step(1, "x" * 5000, error="no"), step(2, None), step(3, digest)]
        kept = list(steps)
        trim_results(steps, per_result_chars=10)
        assert steps == kept


def log_of(count):
    log = SessionLog()
    for number in range(1, count + 1):
        log.record(number, "theory", "look", "because", entities=[f"e{number}"])
    return log


class TestLogs:
    def test_old_entries_become_a_summary(self):
        log = log_of(10)
        text = age_session_entries(log, max_entries_to_keep=3)
        assert "1-7" in text
        assert len(log.entries) == 4
        assert log.all_entities() == {f"e{n}" for n in range(1, 11)}

    def test_a_model_may_shorten_it(self):
        llm = MockLLMBackend(["<summary>short</summary>"])
        assert age_session_entries(log_of(10), llm) == "short"

    @pytest.mark.parametrize("log", [log_of(2), object()], ids=["a short one", "none"])
    def test_nothing_to_do(self, log):
        assert age_session_entries(log) is None

    def test_in_an_emergency_old_results_go_too(self):
        state = DefaultState(steps=[step(n, "x") for n in range(1, 7)])
        assert emergency_truncate(state, log_of(10), keep_recent=2)
        assert [s.tool_result.data for s in state.steps] == [None] * 4 + ["x"] * 2
