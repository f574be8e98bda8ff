"""Compaction by services of the user's own: what a chain and the events take from their outcomes."""

from __future__ import annotations

from typing import Any

import pytest

from looplet import (
    CompactOutcome,
    Conversation,
    EventPayload,
    Message,
    PruneToolResults,
    SessionLog,
    ToolResult,
    TruncateCompact,
    compact_chain,
    run_compact,
)
from looplet.conversation import MessageRole

ARGUMENTS: dict[str, Any] = {"state": None, "session_log": None, "llm": None, "conversation": None}


class Says:
    """A service that only says what it did."""

    def __init__(self, **outcome: Any) -> None:
        self.outcome = CompactOutcome(**outcome)
        self.ran = 0

    def compact(self, **_: Any) -> CompactOutcome:
        self.ran += 1
        return self.outcome


@pytest.mark.parametrize(
    ("first", "stage"),
    [
        ({"messages_before": 9, "messages_after": 3}, 0),
        ({"extra": {"cleared": 4}}, 0),
        ({"messages_before": 9, "messages_after": 9}, 1),
        ({"extra": {"cleared": 0}}, 1),
        ({}, 1),
    ],
    ids=["fewer messages", "cleared", "as many messages", "none cleared", "says nothing"],
)
def test_a_chain_goes_by_what_its_stages_say(first: dict[str, Any], stage: int) -> None:
    last = Says(llm_calls_spent=2)
    chain = compact_chain(Says(llm_calls_spent=1, **first), last)
    outcome = chain.compact(**ARGUMENTS, step_num=1, reason="r")
    assert outcome.extra is not None
    assert (outcome.extra["chain_stage"], outcome.extra["chain_stage_count"]) == (stage, 2)
    assert (last.ran, outcome.llm_calls_spent) == (stage, 1 + 2 * stage)


def test_a_chain_is_content_when_most_results_were_emptied() -> None:
    results = [ToolResult("look", "", {"page": n}) for n in range(8)]
    conversation = Conversation([Message(MessageRole.TOOL, "short", tool_result=r) for r in results])
    chain = compact_chain(PruneToolResults(keep_recent=3), TruncateCompact())
    outcome = chain.compact(
        state=None, session_log=SessionLog(), llm=None, conversation=conversation, step_num=1, reason="r"
    )
    assert outcome.extra == {"mode": "prune", "cleared": 5, "chain_stage": 0, "chain_stage_count": 2}
    assert len(conversation.messages) == 8


def test_the_event_after_a_compaction_says_what_the_service_said() -> None:
    told: list[EventPayload] = []

    class Listener:
        def on_event(self, payload: EventPayload) -> None:
            told.append(payload)

    service = Says(messages_before=9, messages_after=3)
    run_compact(service, hooks=[Listener()], **ARGUMENTS, step_num=4, reason="r")
    assert [(p.event.value, p.messages_before, p.messages_after) for p in told] == [
        ("pre_compact", None, None),
        ("post_compact", 9, 3),
    ]
