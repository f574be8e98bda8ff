"""The page as text: nothing that a model said is markup in it."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from looplet.evals.spent import Spent
from pytest_looplet.report import SessionReport
from pytest_looplet.report.html import page

VOID = {"meta", "link", "input", "img", "br"}


class Page(HTMLParser):
    """Tags, attributes and the nesting of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def read(report):
    return Page(page(report))


def test_every_tag_is_ours_and_closed(read):
    assert read.open == []
    assert {tag for tag, _ in read.tags}.isdisjoint({"img", "iframe", "object"})
    assert [tag for tag, _ in read.tags].count("script") == 1


def test_no_attribute_runs_code_or_leaves_the_file(read):
    for _, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("href", "src"):
            assert (attributes.get(name) or "#").startswith(("#", "data:,"))


def test_the_page_holds_no_character_that_no_reader_could_show(report):
    text = page(report)
    assert not [c for c in text if ord(c) < 32 and c not in "\n\t"]
    assert not [c for c in text if c in "\u202e\ud800"]
    assert "🦜" in text


def test_the_policy_lets_nothing_in(read):
    policy = next(a["content"] for t, a in read.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "unsafe" not in policy


def test_each_run_has_a_section_with_its_steps(report, read):
    kinds = [(attributes.get("class") or "").split() for _, attributes in read.tags]
    assert sum("case" in kind for kind in kinds) == 5
    assert sum("step" in kind for kind in kinds) == 5 * 4


def test_a_section_shows_what_its_run_did_otherwise(report, read, evil):
    spent = (Spent("evals/eval_support.py::case-0000", "tokens", 100, 150, 0.25),)
    name = "evals/eval_support.py::case-0001#1"
    changed = replace(
        report,
        comparison=replace(report.comparison, spent=spent),
        departures={name: ("the first difference is at step 2", evil)},
    )
    text = page(changed)
    first, second, *_ = text.split('<details class="case ')[1:]
    assert "▲ tokens 100 -&gt; 150 (+50%), tolerance 25%" in first
    assert "Changes against the baseline" in first
    assert "Changes against the recording" in second
    assert "the first difference is at step 2" in second
    assert "<script>window.hacked" not in text


def test_a_very_long_result_is_cut_and_says_so(report):
    from dataclasses import replace

    name, run = next(iter(report.runs.items()))
    text = page(replace(report, runs={name: replace(run, task="x" * 50_000)}))
    assert "30,000 more characters in the JSON report" in text


def test_an_empty_session_has_a_page():
    assert "nothing was judged" in page(SessionReport())
