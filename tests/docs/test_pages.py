"""Every block of every page runs, every command prints what is shown, and nothing is left out unseen."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.docs import error_page
from tests.docs.blocks import page
from tests.docs.story import CHECKED_NOT_RUN, HOUSE, TEST, Story, Unlike, bare, joined_lines, same

ELSEWHERE = {
    "docs/fixtures.md": "tests/pytest_looplet/fixtures/test_page.py",
    "docs/frameworks.md": "tests/pytest_looplet/test_frameworks_page.py",
    "docs/tutorial.md": "tests/docs/test_tutorial.py",
}
"""Pages with a test of their own, which runs their blocks."""

NOT_RUN: dict[str, str] = {}
"""Every block that is not run, by page and number from 1, and the reason that stands before it."""

ONLY_CHECKED = {
    ("CONTRIBUTING.md", "make test"),
    ("README.md", "make demo"),
    ("README.md", "make test"),
    ("README.md", 'pip install "pytest-looplet[openai]"'),
    ("docs/index.md", 'pip install "pytest-looplet[openai]"'),
    ("docs/tutorial.md", 'pip install "pytest-looplet[openai]"'),  # run there, with the wheel
    ("docs/tutorial.md", "export OPENAI_API_KEY=sk-..."),
    ("docs/tutorial.md", "export OPENAI_BASE_URL=http://127.0.0.1:8765/v1 OPENAI_API_KEY=none"),
    ("docs/tutorial.md", "export OPENAI_BASE_URL=http://127.0.0.1:8766/v1"),
    ("examples/support_agent/README.md", "make demo"),
}
"""Command lines that are looked at and not run; `CHECKED_NOT_RUN` says why."""

PAGES = {
    str(path.relative_to(HOUSE)): page(path, HOUSE)
    for path in sorted([*HOUSE.glob("*.md"), *HOUSE.glob("docs/**/*.md"), *HOUSE.glob("examples/**/*.md")])
}


def is_slow(blocks):
    return any(block.kind in ("bash", "console") or TEST.search(block.text) for block in blocks)


RUN_HERE = [
    pytest.param(name, marks=[pytest.mark.slow] if is_slow(blocks) else [])
    for name, blocks in PAGES.items()
    if name not in ELSEWHERE and blocks
]


@pytest.mark.parametrize("name", RUN_HERE)
def test_a_page_is_true(name, tmp_path, monkeypatch):
    for variable in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    if name.startswith("examples/"):
        shutil.copytree(HOUSE / "examples", tmp_path / "examples")
    Story(tmp_path, Path(sys.executable).parent).run(PAGES[name])


def test_what_is_not_run_is_known_and_has_a_reason():
    found = {
        f"{name}: {block.text}"
        for name, blocks in PAGES.items()
        for block in blocks
        if block.kind == "not run"
    }
    assert found == {f"{name}: {reason}" for name, reason in NOT_RUN.items()}
    assert all(len(reason) > 20 for reason in NOT_RUN.values())


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_page_that_is_run_elsewhere_is(name):
    assert Path(name).name in (HOUSE / ELSEWHERE[name]).read_text(encoding="utf-8")


SAME = {
    "equal": ("a\nb\n", "a\nb\n", True),
    "another line": ("a\nb\n", "a\nc\n", False),
    "a line more": ("a\n", "a\nb\n", False),
    "any lines": ("a\n...\nd\n", "a\nb\nc\nd\n", True),
    "any text": ("a ... c\n", "a b c\n", True),
    "a time": ("1 passed in 0.01s\n", "1 passed in 12.30s\n", True),
    "another number": ("1 passed in 0.01s\n", "2 passed in 0.01s\n", False),
}


@pytest.mark.parametrize(("shown", "printed", "alike"), SAME.values(), ids=SAME)
def test_what_is_shown_is_compared(shown, printed, alike):
    if alike:
        same(shown, printed)
    else:
        with pytest.raises(Unlike):
            same(shown, printed)


WRONG = {
    "code that fails": "```python\nassert 1 == 2\n```",
    "a command that fails": "```bash\nfalse\n```",
    "an output that is another": "```console\n$ echo one\ntwo\n```",
    "what a block printed": '```python\nprint(1)\n```\n```text title="output"\n2\n```',
    "a language nobody runs": "```ruby\nputs 1\n```",
    "a block without a language": "```\nwhat is this\n```",
    "code that is only indented": "Text.\n\n    x = 1\n",
    "a test that fails": "```python\ndef test_it():\n    assert False\n```",
    "an extra that does not exist": "```bash\npip install pytest-looplet[none]\n```",
    "a target that does not exist": "```bash\nmake nothing\n```",
    "settings that cannot be read": "```toml\nx = \n```",
}


@pytest.mark.slow
@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_page_that_is_wrong_is_red(text, tmp_path):
    path = tmp_path / "wrong.md"
    path.write_text(text)
    with pytest.raises(Unlike, match=r"wrong\.md:"):
        Story(tmp_path, Path(sys.executable).parent).run(page(path, tmp_path))


def test_every_message_we_raise_is_on_its_page():
    found = error_page.PAGE.read_text(encoding="utf-8")
    missing = [
        message.text for message in error_page.messages() if error_page.shown(message.text) not in found
    ]
    assert missing == [], "python tests/docs/error_page.py writes the page again"
    assert found == error_page.page(), "python tests/docs/error_page.py writes the page again"


LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(path):
    """The anchors that headings of a page get, on GitHub and on the site."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    page_file = HOUSE / name
    for target, anchor in LINK.findall(
        re.sub(r"```.*?```", "", page_file.read_text(encoding="utf-8"), flags=re.DOTALL)
    ):
        if "://" in target:
            continue
        path = (page_file.parent / target) if target else page_file
        assert path.exists(), f"{name}: {target} does not exist"
        if anchor:
            assert anchor in anchors(path), f"{name}: {target} has no heading for #{anchor}"


def test_the_sites_navigation_is_complete():
    shown = set(
        re.findall(r"^\s+- (\S+\.md)$", (HOUSE / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert shown | {"index.md"} == {
        path.relative_to(HOUSE / "docs").as_posix() for path in (HOUSE / "docs").rglob("*.md")
    } | {"index.md"}


def test_ci_runs_what_the_readme_says():
    readme, ci = (
        (HOUSE / "README.md").read_text(encoding="utf-8"),
        (HOUSE / ".ci/run").read_text(encoding="utf-8"),
    )
    assert re.search(r"^make test ", readme, re.MULTILINE)
    assert "make --no-print-directory test\n" in ci
    assert len(readme.splitlines()) < 170


def command_lines():
    for name, blocks in PAGES.items():
        for block in blocks:
            if block.kind == "bash":
                yield from ((name, line) for line in joined_lines(block.text))
            if block.kind == "console":
                yield from ((name, line) for line in re.findall(r"^\$ (.*)", block.text, re.MULTILINE))


def test_commands_that_are_only_checked_are_these():
    only_checked = {
        (name, bare(line))
        for name, line in command_lines()
        if any(re.match(pattern, bare(line)) for pattern in CHECKED_NOT_RUN)
    }
    assert only_checked == ONLY_CHECKED
    for pattern in CHECKED_NOT_RUN:
        assert any(re.match(pattern, line) for _, line in only_checked), f"nothing needs {pattern!r}"
