"""The conversation: cutting, compaction, rendering, JSON form, size."""

from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given, strategies as st

from looplet.conversation import (
    BOUNDARY_KIND,
    SUMMARY_HEAD,
    ContentBlock,
    Conversation,
    Message,
    MessageRole,
    default_summarizer,
    safe_cut,
)
from looplet.errors import ConfigError
from looplet.types import ErrorKind, ToolCall, ToolError, ToolResult

SYSTEM, USER, ASSISTANT, TOOL = MessageRole


def call(name: str, call_id: str = "c1", **args) -> Message:
    return Message(ASSISTANT, "", tool_call=ToolCall(name, args, "because", call_id))


def answer(name: str, data: object = None, call_id: str = "c1", error: str | None = None) -> Message:
    return Message(TOOL, "", tool_result=ToolResult(name, "x=1", data, error=error, call_id=call_id))


def boundary(text: str) -> Message:
    return Message(SYSTEM, text, metadata={"kind": BOUNDARY_KIND, "summary": text})


def talk(spec: str) -> Conversation:
    """`U A C T S B`: user, assistant, call, tool result, system, boundary."""
    make = {
        "U": lambda n: Message(USER, f"u{n}"),
        "A": lambda n: Message(ASSISTANT, f"a{n}"),
        "C": lambda n: call("t", f"c{n}"),
        "T": lambda n: answer("t", n, f"c{n - 1}"),
        "S": lambda n: Message(SYSTEM, f"s{n}"),
        "B": lambda n: boundary(f"b{n}"),
    }
    return Conversation(make[letter](number) for number, letter in enumerate(spec))


def spec(conversation: Conversation) -> str:
    def letter(message: Message) -> str:
        if message.role is SYSTEM:
            return "B" if message.metadata.get("kind") == BOUNDARY_KIND else "S"
        if message.tool_call:
            return "C"
        return {USER: "U", ASSISTANT: "A", TOOL: "T"}[message.role]

    return "".join(map(letter, conversation.messages))


class TestMessage:
    @pytest.mark.parametrize(
        ("kind", "data", "text"),
        [
            ("text", {"text": "hi"}, "hi"),
            ("image", {"url": "x"}, "[image attached]"),
            ("tool_use", {"name": "grep"}, "[tool_use: grep]"),
            ("tool_result", {"content": "r" * 300}, f"[tool_result: {'r' * 200}]"),
            ("audio", {}, "[audio]"),
        ],
    )
    def test_text_of_a_block(self, kind, data, text):
        assert ContentBlock(kind, data).text == text

    def test_text_and_blocks_of_both_forms(self):
        plain = Message(USER, "hi")
        mixed = Message(USER, [ContentBlock("text", {"text": "a"}), ContentBlock("image", {})])
        assert (plain.text, plain.blocks) == ("hi", [ContentBlock("text", {"text": "hi"})])
        assert (mixed.text, len(mixed.blocks)) == ("a\n[image attached]", 2)
        assert [block.text for block in mixed.text_blocks()] == ["a"]
        assert Message(USER, "").blocks == []

    def test_a_role_may_be_given_as_its_value_and_no_other_word(self):
        assert Message("user", "hi").role is USER
        with pytest.raises(ValueError, match="narrator"):
            Message("narrator", "hi")


class TestTruncate:
    @pytest.mark.parametrize(
        ("before", "keep", "after"),
        [
            pytest.param("UAUA", 2, "UA", id="plain"),
            pytest.param("UAUA", 0, "", id="zero keeps none"),
            pytest.param("SUAUA", 0, "S", id="zero keeps system"),
            pytest.param("UA", 9, "UA", id="more than there is"),
            pytest.param("USAUA", 2, "SUA", id="system first"),
            pytest.param("UCTA", 2, "CTA", id="result keeps its call"),
            pytest.param("UCCTT", 1, "CCTT", id="parallel calls stay together"),
            pytest.param("UCCTT", 3, "CCTT", id="a cut between parallel calls"),
            pytest.param("UCTCT", 2, "CT", id="a cut between two turns"),
            pytest.param("UTTA", 2, "TA", id="a result without a call stays alone"),
        ],
    )
    def test_keeps(self, before, keep, after):
        conversation = talk(before)
        assert conversation.truncate(keep) is conversation
        assert spec(conversation) == after

    def test_system_messages_count_when_they_are_not_preserved(self):
        assert spec(talk("SUASA").truncate(2, preserve_system=False)) == "SA"

    def test_calls_as_blocks_are_kept_too(self):
        blocks = [ContentBlock("tool_use", {"type": "tool_use", "id": "x", "name": "t", "input": {}})]
        conversation = Conversation([Message(USER, "go"), Message(ASSISTANT, blocks), answer("t", 1, "x")])
        assert len(conversation.truncate(1).messages) == 2

    def test_only_the_newest_boundaries_are_kept(self):
        conversation = talk("B" * 25 + "UA").truncate(1)
        assert spec(conversation) == "B" * 10 + "A"
        assert conversation.messages[0].content == "b15"


class TestCompact:
    @pytest.mark.parametrize(
        ("before", "keep", "after"),
        [
            pytest.param("UAUAUA", 2, "SUUA", id="plain"),
            pytest.param("UAU", 2, "UAU", id="too short"),
            pytest.param("UAUA", 2, "SUUA", id="one longer than too short"),
            pytest.param("UAUA", 0, "SU", id="zero keeps none"),
            pytest.param("AAAA", 1, "SA", id="no user message to carry on"),
            pytest.param("UACTUACT", 1, "SUCT", id="call and result stay together"),
            pytest.param("UACTUACT", 3, "SUACT", id="a cut before the call"),
            pytest.param("UABAUA", 2, "BSUUA", id="boundaries first"),
        ],
    )
    def test_leaves(self, before, keep, after):
        conversation = talk(before)
        assert conversation.compact(keep_recent=keep) is conversation
        assert spec(conversation) == after

    def test_the_summary_is_the_summarizers_and_the_last_question_survives(self):
        conversation = talk("UAUAUA").compact(lambda messages: f"{len(messages)} said", keep_recent=2)
        assert conversation.messages[0].content == f"{SUMMARY_HEAD}4 said"
        assert [m.content for m in conversation.messages[1:]] == ["u2", "u4", "a5"]

    def test_a_summarizer_sees_no_large_blocks(self):
        seen = []
        image = Message(USER, [ContentBlock("text", {"text": "look"}), ContentBlock("image", {"data": "…"})])
        conversation = Conversation([image, *talk("AUA").messages])
        conversation.compact(lambda messages: seen.extend(messages) or "ok", keep_recent=2)
        assert seen[0].text == "look\n[image omitted during compaction]"
        assert conversation.messages[1] is image

    def test_compacting_for_ever_does_not_grow(self):
        conversation = Conversation()
        sizes = []
        for number in range(150):
            conversation.append(Message(USER, f"question {number} " + "x" * 300))
            conversation.append(call("t", f"c{number}", n=number)).append(
                answer("t", "y" * 300, f"c{number}")
            )
            conversation.append(boundary(f"dropped {number}"))
            conversation.compact(keep_recent=2)
            sizes.append(len(json.dumps(conversation.serialize())))
        assert max(sizes[100:]) < 1.1 * max(sizes[20:60])
        assert len(conversation.find_compaction_boundaries()) <= 12

    def test_a_summary_alone_is_not_summarised_again(self):
        conversation = talk("UACTUACT").compact(keep_recent=2)
        before = list(conversation.messages)
        assert conversation.compact(keep_recent=2).messages == before

    @given(st.text("UACTSB", max_size=30), st.integers(0, 8), st.booleans())
    def test_no_result_is_left_without_the_call_it_had(self, letters, keep, truncate):
        conversation = talk(letters.replace("C", "CT").replace("TT", "T"))
        had = {m.tool_call.call_id for m in conversation.messages if m.tool_call}
        if truncate:
            conversation.truncate(keep)
        else:
            conversation.compact(keep_recent=keep)
        left = {m.tool_call.call_id for m in conversation.messages if m.tool_call}
        answered = {m.tool_result.call_id for m in conversation.messages if m.tool_result}
        assert answered & had <= left
        assert left <= answered


def test_default_summarizer_names_tools_and_is_bounded():
    messages = [m for n in range(200) for m in (call("grep", q="x" * 500), answer("grep", "y" * 500))]
    text = default_summarizer(messages)
    assert "grep×200" in text
    assert len(text) < 8000


@pytest.mark.parametrize(("start", "cut"), [(0, 0), (1, 1), (2, 1), (3, 3), (4, 4), (5, 4), (6, 6)])
def test_safe_cut(start, cut):
    assert safe_cut(talk("UCTUCT").messages, start) == cut


class TestRevision:
    def test_appending_leaves_it_and_everything_else_changes_it(self):
        conversation = talk("UAUA")
        seen = [conversation.revision]
        conversation.append(Message(USER, "x"))
        assert conversation.revision == seen[0]
        for change in (
            lambda: conversation.replace(0, Message(USER, "other")),
            lambda: conversation.truncate(4),
            lambda: conversation.compact(keep_recent=1),
        ):
            change()
            assert conversation.revision not in seen
            seen.append(conversation.revision)

    def test_replaced_messages_are_told_until_more_happens(self):
        conversation = talk("UAUA")
        start = conversation.revision
        for index in (1, -1, 1):
            conversation.replace(index, Message(ASSISTANT, "other"))
        assert conversation.replaced_since(start) == [1, 3, 1]
        assert conversation.replaced_since(start + 2) == [1]
        conversation.truncate(2)
        assert conversation.replaced_since(start) is None
        assert conversation.replaced_since(conversation.revision) == []

    def test_a_compaction_that_did_nothing_leaves_it(self):
        conversation = talk("UA")
        assert conversation.compact().revision == 0


class TestTokenEstimate:
    @pytest.mark.parametrize("index", [0, 1, 2])
    def test_follows_a_replaced_message(self, index):
        conversation = Conversation([Message(USER, "x" * 400), Message(USER, "x" * 400)])
        assert conversation.token_estimate == 200
        conversation.append(Message(USER, "x" * 400))
        conversation.replace(index, Message(USER, "x" * 40))
        assert conversation.token_estimate == 210
        conversation.append(Message(USER, "x" * 40))
        assert conversation.token_estimate == 220

    def test_counts_text_calls_and_results(self):
        conversation = Conversation([Message(USER, "x" * 400)])
        assert conversation.token_estimate == 100
        conversation.append(call("grep", q="y" * 400)).append(answer("grep", "z" * 400))
        assert 300 <= conversation.token_estimate <= 310
        assert Conversation().token_estimate == 0

    @pytest.mark.parametrize(
        "edit",
        [
            pytest.param(lambda c: c.append(Message(USER, "more " * 50)), id="append"),
            pytest.param(lambda c: c.replace(1, Message(USER, "r" * 80)), id="replace"),
            pytest.param(lambda c: c.truncate(2), id="truncate"),
            pytest.param(lambda c: c.compact(keep_recent=1), id="compact"),
            pytest.param(lambda c: c.messages.pop(), id="popped"),
            pytest.param(lambda c: c.messages.clear(), id="cleared"),
            pytest.param(lambda c: c.messages.append(Message(USER, "b" * 80)), id="appended to the list"),
            pytest.param(lambda c: setattr(c, "messages", [Message(USER, "n" * 80)]), id="new list"),
        ],
    )
    def test_is_what_a_fresh_count_gives(self, edit):
        conversation = talk("UACTUACT")
        assert conversation.token_estimate > 0
        edit(conversation)
        assert conversation.token_estimate == Conversation(conversation.messages).token_estimate

    def test_a_huge_result_counts_as_what_can_be_sent_of_it(self):
        assert Conversation([answer("t", "z" * 1_000_000)]).token_estimate == 5000


class TestFork:
    def test_is_deep(self):
        conversation = Conversation([answer("t", {"rows": [1]})])
        fork = conversation.fork()
        fork.messages[0].tool_result.data["rows"].append(2)
        fork.append(Message(USER, "x"))
        assert conversation.messages[0].tool_result.data == {"rows": [1]}
        assert len(conversation.messages) == 1

    def test_shares_what_cannot_be_copied(self):
        lock = threading.Lock()
        fork = Conversation([answer("t", {"lock": lock})]).fork()
        assert fork.messages[0].tool_result.data["lock"] is lock


class TestRender:
    def test_a_line_for_each_thing_said(self):
        conversation = Conversation(
            [
                Message(SYSTEM, "be brief"),
                Message(USER, "find it"),
                call("grep", q="x"),
                answer("grep", {"total": 2}),
                answer("grep", None, error="no such file"),
            ]
        )
        assert conversation.render().splitlines() == [
            "[SYSTEM] be brief",
            "[USER] find it",
            "[ASSISTANT] → grep(q='x')",
            "  reasoning: because",
            "[TOOL] ✓ grep: {'total': 2}",
            "[TOOL] ✗ grep: no such file",
        ]

    def test_text_next_to_a_call_is_shown_too(self):
        message = call("grep")
        message.content = "let me look"
        assert Conversation([message]).render().splitlines()[:2] == [
            "[ASSISTANT] let me look",
            "[ASSISTANT] → grep()",
        ]

    @pytest.mark.parametrize("tokens", [0, 1, 5, 20, 1000])
    def test_a_budget_keeps_the_tail(self, tokens):
        conversation = talk("UAUAUACT")
        text = conversation.render(max_tokens=tokens)
        assert len(text) <= tokens * 4
        assert conversation.render().endswith(text)


class TestJson:
    def test_round_trip_through_json(self):
        detail = ToolError(ErrorKind.TIMEOUT, "too slow", True, {"after_s": 3})
        failed = Message(TOOL, "", tool_result=ToolResult("t", "", None, "too slow", detail, 3.5, "k", "c1"))
        conversation = Conversation(
            [
                Message(
                    USER, [ContentBlock("text", {"text": "hi"})], metadata={"kind": "task"}, timestamp=5.0
                ),
                call("grep", q="x"),
                answer("grep", {"a": [1]}),
                failed,
            ]
        )
        wire = json.loads(json.dumps(conversation.serialize()))
        again = Conversation.deserialize(wire)
        assert again.messages == conversation.messages
        assert again.serialize() == conversation.serialize()

    def test_names_of_the_wire_form(self):
        wire = Conversation([call("grep"), answer("grep", 1)]).serialize()
        assert wire["version"] == 1
        assert set(wire["messages"][0]) == {"role", "content", "timestamp", "metadata", "tool_call"}
        assert set(wire["messages"][1]["tool_result"]) == {
            "tool",
            "args_summary",
            "data",
            "error",
            "error_kind",
            "error_retriable",
            "error_context",
            "duration_ms",
            "result_key",
            "call_id",
        }

    @pytest.mark.parametrize(
        ("wire", "complaint"),
        [
            ({"version": 2, "messages": []}, "version 2"),
            (
                {"messages": [{"role": "user", "content": "x"}, {"role": "narrator", "content": ""}]},
                r"messages\[1\]",
            ),
            ({"messages": [{"content": "x"}]}, r"messages\[0\]"),
            ({"messages": ["x"]}, r"messages\[0\]"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, wire, complaint):
        with pytest.raises(ConfigError, match=complaint):
            Conversation.deserialize(wire)


def test_entities_are_collected_from_results():
    conversation = Conversation(
        [answer("t", {"entities": ["a", "b"]}), answer("t", {"entities": "no list"}), answer("t", [1])]
    )
    assert conversation.entities == {"a", "b"}
