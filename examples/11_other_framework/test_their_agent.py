"""Recorded, replayed and judged as it is: its trajectory is read from the traffic."""

import their_agent

from pytest_looplet import expect


def test_it_looks_before_it_answers(looplet_capture):
    with looplet_capture() as run:
        answer = their_agent.ask("How many teapots are left?")
    expect(run).to_call("stock", item="teapot").to_finish()
    assert "3" in answer
