"""What is measured as it comes is what a measurement of everything says."""

from __future__ import annotations

from hypothesis import given, strategies as st

from looplet import SessionLog
from looplet.pressure import STEP_CHARS, LogSize, SizedSteps
from looplet.shrink import age_results, clear_results, trim_results
from looplet.types import DefaultState, Step, ToolCall, ToolResult
from looplet.values import dumps

DATA = st.one_of(
    st.none(),
    st.text(max_size=9).map(lambda text: text * 60),
    st.lists(st.text(max_size=300), max_size=6),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 900).map("x".__mul__), max_size=3),
)
STEPS = st.lists(st.tuples(DATA, st.booleans(), st.text(max_size=9)), max_size=9)
LIMITS = st.tuples(st.integers(0, 4), st.integers(0, 900), st.integers(0, 2_000))


def step(number, data, fails, why):
    result = ToolResult("look", "", data, error="no" if fails else None)
    return Step(number, ToolCall("look", reasoning=why), result)


def chars(steps):
    return sum(len(dumps(s.tool_result.data)) + len(s.tool_call.reasoning) + STEP_CHARS for s in steps)


@given(STEPS, LIMITS, st.lists(st.integers(0, 9), max_size=3))
def test_steps_are_made_small_and_measured_as_if_all_were_looked_at(given_steps, limits, cleared_at):
    sized, steps, state = SizedSteps(*limits), [], DefaultState()
    for number, facts in enumerate(given_steps):
        steps.append(step(number, *facts))
        state.steps.append(steps[-1])
        sized.keep_small(steps)
        age_results(state.steps, limits[0])
        trim_results(state.steps, *limits[1:])
        if number in cleared_at:
            sized.clear(steps, 2)
            clear_results(state, 2)
        assert [s.tool_result for s in steps] == [s.tool_result for s in state.steps]
        assert sized.chars == chars(steps)


def test_a_list_that_others_edit_is_measured_anew():
    sized, steps = SizedSteps(1, 10_000, 10_000), [step(n, "x" * 1_000, False, "why") for n in range(4)]
    sized.keep_small(steps)
    whole = step(0, "y" * 2_000, False, "because")
    for edit in (lambda: steps.pop(), lambda: steps.insert(0, whole), steps.clear):
        edit()
        sized.keep_small(steps)
        assert sized.chars == chars(steps)
    assert not steps


def test_steps_that_were_handed_out_stay():
    steps = [step(n, "x" * 1_000, False, "") for n in range(3)]
    handed_out = list(steps)
    SizedSteps(0, 10, 10).keep_small(steps)
    assert all(isinstance(s.tool_result.data, dict) for s in steps)
    assert all(s.tool_result.data == "x" * 1_000 for s in handed_out)


ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["", "a theory", "another"]),
        st.lists(st.sampled_from([f"e{n}" for n in range(40)]), max_size=30),
        st.lists(st.text(max_size=20), max_size=3),
        st.sampled_from(["", "key"]),
        st.sampled_from(["", "compact", "edit", "change the newest", "clear"]),
    ),
    max_size=12,
)


@given(ENTRIES, st.sampled_from(["highlights", "seen"]))
def test_a_log_is_as_long_as_it_is_rendered(entries, label):
    log, size = SessionLog(highlights_label=label), LogSize()
    assert size.of(log) == 0
    for number, (theory, entities, findings, key, then) in enumerate(entries):
        log.record(number, theory, "look", "why", entities, findings, entities[:2], key)
        assert size.of(log) == len(log.render())
        if then == "compact":
            log.compact(2)
        elif then == "clear":
            log.entries.clear()
        elif then == "edit" and len(log.entries) > 3:
            del log.entries[1]
        elif then == "change the newest":
            log.entries[-1].findings.append("more")
        assert size.of(log) == len(log.render())


class Mine(SessionLog):
    """A log with a text of its own."""

    def render(self) -> str:
        """All of it."""
        return "mine"


def test_a_log_of_ones_own_is_asked_for_its_text():
    log = Mine()
    log.record(1, "", "look", "why")
    assert LogSize().of(log) == 4
