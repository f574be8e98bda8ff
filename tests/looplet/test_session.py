"""The session log: rendering, bounded rendering, compaction."""

from __future__ import annotations

import pytest

from looplet.session import MODEL_SUMMARY_TOOL, SUMMARY_TOOL, LogEntry, SessionLog


def filled(count: int, *, start: int = 1, **kwargs) -> SessionLog:
    log = SessionLog(**kwargs)
    for number in range(start, start + count):
        log.record(number, "", "grep", f"look {number}", entities=[f"e{number:03}"], findings=[f"f{number}"])
    return log


def plain(count: int) -> SessionLog:
    log = SessionLog()
    for number in range(1, count + 1):
        log.record(number, "", "grep", f"look {number}")
    return log


class TestRender:
    def test_an_empty_log_renders_as_nothing(self):
        log = SessionLog()
        log.current_theory = "something"
        assert (log.render(), log.render_recent(), log.render_body(), log.render_compact()) == (
            "",
            "",
            "",
            "",
        )

    def test_every_part_in_its_place(self):
        log = SessionLog()
        log.record(1, "it leaks", "grep", "find it", ["a.py"], ["line 3", "line 4", "line 5"], ["b.py"], "k1")
        assert log.render() == (
            "═══ SESSION LOG ═══\n"
            "Current theory: it leaks\n\n"
            "Entities discovered: a.py, b.py\n\n"
            "Steps:\n"
            "  S1: grep — find it\n"
            "    entities: a.py\n"
            "    highlights: b.py\n"
            "    → line 3\n"
            "    → line 4\n"
            "    [recall: k1]"
        )

    def test_without_theory_and_entities_only_the_steps(self):
        log = SessionLog()
        log.record(1, "", "greet", "say hi")
        assert log.render() == "═══ SESSION LOG ═══\nSteps:\n  S1: greet — say hi"

    def test_a_blank_theory_inherits_the_one_in_force(self):
        log = SessionLog()
        log.record(1, "first", "a", "")
        log.record(2, "  ", "b", "")
        log.record(3, "second", "c", "")
        assert [e.theory for e in log.entries] == ["first", "first", "second"]
        assert log.current_theory == "second"

    def test_title_label_and_formatter_are_the_callers(self):
        log = SessionLog(
            title="CASE", highlights_label="suspects", entity_formatter=lambda s: f"{len(s)} things"
        )
        log.record(1, "", "a", "r", ["x"], None, ["y"])
        assert log.render() == "═══ CASE ═══\n2 things\nSteps:\n  S1: a — r\n    entities: x\n    suspects: y"

    def test_long_lists_are_cut(self):
        log = SessionLog()
        log.record(1, "", "a", "r" * 200, [f"e{i:02}" for i in range(30)])
        text = log.render()
        assert "e19 … and 10 more" in text
        assert "r" * 81 not in text
        assert "entities: e00, e01, e02, e03, e04, e05, e06, e07\n" in text + "\n"


class TestRenderRecent:
    @pytest.mark.parametrize("count", [1, 5, 20])
    def test_is_the_whole_log_while_it_fits(self, count):
        log = filled(count)
        assert log.render_recent(20) == log.render()
        assert log.render_recent_body(20) == log.render_body()

    def test_beyond_the_limit_the_last_entries_and_a_count(self):
        log = filled(30)
        lines = log.render_recent(3).splitlines()
        assert "  … 27 earlier steps" in lines
        assert [line for line in lines if line.startswith("  S")] == [
            f"  S{n}: grep — look {n}" for n in (28, 29, 30)
        ]
        assert lines[1].startswith("Entities discovered: e001, e002,")

    def test_limit_zero_shows_no_entry(self):
        assert "  S" not in filled(4).render_recent(0)

    @pytest.mark.parametrize(
        "edit",
        [
            pytest.param(lambda log: log.entries.pop(), id="last removed"),
            pytest.param(lambda log: log.entries.pop(0), id="first removed"),
            pytest.param(lambda log: log.entries.clear(), id="cleared"),
            pytest.param(lambda log: log.entries.insert(2, LogEntry(9, "", "new", "in")), id="inserted"),
            pytest.param(lambda log: log.entries.__setitem__(3, LogEntry(9, "", "new", "in")), id="replaced"),
            pytest.param(
                lambda log: setattr(log, "entries", [LogEntry(9, "", "new", "in")]), id="list replaced"
            ),
            pytest.param(lambda log: log.entries[-1].findings.append("late"), id="newest changed in place"),
            pytest.param(lambda log: log.compact(2), id="compacted"),
        ],
    )
    @pytest.mark.parametrize("make", [lambda: filled(8), lambda: plain(8)], ids=["with entities", "plain"])
    def test_follows_edits_behind_its_back(self, edit, make):
        log = make()
        log.render_recent()
        edit(log)
        assert log.render_recent() == log.render()
        log.record(50, "", "after", "r", ["zz"])
        assert log.render_recent() == log.render()

    def test_the_list_of_entries_grows_in_the_hands_of_whoever_has_it(self):
        log = plain(3)
        held = log.entries
        log.record(4, "", "grep", "look 4")
        assert [entry.step for entry in held] == [1, 2, 3, 4]
        held.pop(0)
        assert (
            log.render_recent()
            == log.render()
            == "\n".join(("═══ SESSION LOG ═══", "Steps:", *(f"  S{n}: grep — look {n}" for n in (2, 3, 4))))
        )

    @pytest.mark.parametrize("looked", [True, False], ids=["read between", "never read"])
    def test_reading_the_entries_changes_no_text(self, looked):
        log, texts = SessionLog(), []
        for number in range(1, 30):
            log.record(number, "an idea" if number == 5 else "", "grep", f"look {number}")
            if looked and number in (3, 17):
                assert [entry.theory for entry in log.entries][4:] == ["an idea"] * (number - 4)
            texts.append(log.render_recent(20))
        assert texts[10].splitlines() == [
            "═══ SESSION LOG ═══",
            "Current theory: an idea",
            "",
            "Steps:",
            *(f"  S{n}: grep — look {n}" for n in range(1, 12)),
        ]
        assert texts[-1].splitlines()[4] == "  … 9 earlier steps"

    def test_stays_right_as_the_log_grows_step_by_step(self):
        log = SessionLog()
        for number in range(1, 60):
            log.record(number, "", "t", f"r{number}", entities=[f"n{number % 7}"])
            assert log.render_recent_body(100) == log.render_body()


class TestCompact:
    def test_old_entries_become_one_and_no_entity_is_lost(self):
        log = filled(10)
        before = log.all_entities()
        assert log.compact(4) is True
        assert [e.step for e in log.entries] == [0, 7, 8, 9, 10]
        assert (log.entries[0].tool, log.entries[0].reasoning) == (SUMMARY_TOOL, "[Compressed steps 1-6]")
        assert log.all_entities() == before

    @pytest.mark.parametrize(
        ("entries", "keep", "done"),
        [(5, 5, False), (7, 5, False), (8, 5, True), (3, 0, True), (2, 0, False), (0, 0, False)],
    )
    def test_needs_three_entries_to_squeeze(self, entries, keep, done):
        assert filled(entries).compact(keep) is done

    def test_keep_zero_keeps_none(self):
        log = filled(4)
        log.compact(0)
        assert [e.tool for e in log.entries] == [SUMMARY_TOOL]

    def test_a_summary_of_summaries_spans_all_their_steps(self):
        log = filled(6)
        log.compact(2)
        for number in range(7, 13):
            log.record(number, "", "t", "r")
        log.compact(2)
        assert [e.reasoning for e in log.entries if e.tool == SUMMARY_TOOL] == ["[Compressed steps 1-10]"]

    def test_compacting_for_ever_does_not_grow(self):
        log = SessionLog()
        sizes = []
        for number in range(1, 400):
            log.record(number, "", "t", "r", ["same"], [f"finding {number} a", f"finding {number} b"])
            if number % 5 == 0:
                log.compact(3)
                sizes.append(len(str(log.to_list())))
        assert max(sizes[5:]) <= 1.2 * sizes[5]
        assert len([e for e in log.entries if e.tool == SUMMARY_TOOL]) == 1

    def test_what_is_shown_of_a_summary_is_bounded_however_much_there_was_to_point_out(self):
        log = SessionLog()
        for number in range(1, 600):
            log.record(number, "", "t", "r", [f"entity {number}"], highlights=[f"highlight {number}"])
            log.compact(3)
        assert len(log.all_entities()) == 2 * 599
        assert len(log.render()) < 2000
        assert len(log.render_compact()) < 2000

    def test_a_summary_by_a_model_outlives_the_findings_after_it(self):
        log = SessionLog()
        log.entries.append(LogEntry(3, "", MODEL_SUMMARY_TOOL, "", findings=["the story so far"]))
        for number in range(4, 40):
            log.record(number, "", "t", "r", findings=[f"f{number}"])
        log.compact(1)
        assert log.entries[0].findings == ["the story so far", *(f"f{n}" for n in range(32, 39))]

    @pytest.mark.parametrize(
        "keep",
        [
            pytest.param(lambda e: e.step == 2, id="test"),
            pytest.param({2}, id="step"),
            pytest.param(["e002"], id="entity"),
        ],
    )
    def test_must_preserve(self, keep):
        log = filled(8)
        log.compact(2, keep)
        assert [e.step for e in log.entries] == [0, 2, 7, 8]

    def test_render_compact_says_what_was_done(self):
        log = filled(4)
        log.record(5, "a theory", "read", "open", highlights=["h"])
        text = log.render_compact()
        assert text.startswith(
            "[Compressed steps 1-5, 5 entries]\nTools used: grep×4, read×1\nTheories: a theory\n"
        )
        for part in (
            "Highlights: h",
            "Entities: e001, e002",
            "Key findings:\n  → f1",
            "Timeline:\n  S1 grep: look 1",
        ):
            assert part in text
        assert text == log.render_compact(log.entries)


def test_unknown_names_are_those_no_entry_mentions():
    log = filled(30)
    log.render_recent()
    log.record(31, "", "t", "r", highlights=["h"])
    assert log.unknown(["e001", "h", "new", "new"]) == {"new"}
    log.entries[-1].entities_seen.append("new")
    assert log.unknown(["new"]) == set()


def test_to_list_has_the_eight_fields():
    log = SessionLog()
    log.record(1, "th", "a", "r", ["e"], ["f"], ["h"], "k")
    assert log.to_list() == [
        {
            "step": 1,
            "theory": "th",
            "tool": "a",
            "reasoning": "r",
            "entities_seen": ["e"],
            "findings": ["f"],
            "highlights": ["h"],
            "recall_key": "k",
        }
    ]
