"""docs/frameworks.md is true: a framework's agent, unchanged, is recorded and replayed offline."""

import re
from pathlib import Path

import pytest

from looplet.testing import call
from looplet.testing.provider import LocalProvider

pytest.importorskip("agents", reason="openai-agents is in the extra dev")
pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "frameworks.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'```python title="(.*?)"\n(.*?)```', PAGE, re.DOTALL))


@pytest.fixture
def suite(pytester, monkeypatch):
    for name in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, text in FILES.items():
        (pytester.path / name).write_text(text)
    return pytester


def run(pytester, *options):
    # A process of its own: the framework keeps the client that it made first.
    options = ("-p", "no:asyncio", "-p", "no:randomly", "-p", "no:cacheprovider", *options)
    return pytester.runpytest_subprocess(*options, timeout=120)


def test_the_agent_is_recorded_and_replayed_and_a_change_is_told(suite):
    script = [call("lookup_order", order_id="7"), "It is shipped."]
    with LocalProvider(script) as provider, pytest.MonkeyPatch.context() as patch:
        for name, value in provider.env.items():
            patch.setenv(name, value)
        run(suite, "--looplet-record").assert_outcomes(passed=1)
    replayed = run(suite)
    replayed.assert_outcomes(passed=1)
    assert "looplet: 1 cassette used" in replayed.outlines
    agent = suite.path / "support.py"
    agent.write_text(agent.read_text().replace("Look before you answer.", "Look first."))
    failed = run(suite)
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["*instructions: 'Look before you answer.' is now 'Look first.'*"])


def test_the_page_is_the_whole_project():
    assert sorted(FILES) == ["conftest.py", "support.py", "test_support.py"]
