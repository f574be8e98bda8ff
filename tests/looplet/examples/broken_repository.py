"""A small repository with a bug and a test that shows it, and the turns of a model that mends it."""

import os
import shutil
import subprocess

from looplet.testing import call, calls

NOT_LOADED = ("cacheprovider", "hypothesispytest", "anyio", "asyncio", "xdist", "pytest_cov", "randomly")
"""Plugins that only take time here, or put tests in another order each time."""

FILES = {
    "pages/__init__.py": "",
    "pages/slices.py": '''\
"""Pages of a list."""


def pages(items, size):
    """Slices of *items*, each of *size* items; the last may be shorter."""
    count = len(items) // size
    return [items[n * size : (n + 1) * size] for n in range(count)]
''',
    "tests/test_slices.py": """\
from pages.slices import pages


def test_full_pages():
    assert pages([1, 2, 3, 4], 2) == [[1, 2], [3, 4]]


def test_the_rest_is_a_page_too():
    assert pages([1, 2, 3], 2) == [[1, 2], [3]]
""",
    "pytest.ini": f"[pytest]\npythonpath = .\naddopts = {' '.join(f'-p no:{name}' for name in NOT_LOADED)}\n",
    ".gitignore": "__pycache__/\n",
}

TASK = "pages() loses the last page. Mend it; the tests show it."
RUN_TESTS = call("bash", command="python -m pytest -q")
MEND = call(
    "edit",
    file_path="pages/slices.py",
    old_string="count = len(items) // size",
    new_string="count = -(-len(items) // size)",
)

TURNS = [
    calls(call("glob", pattern="**/*.py"), call("bash", command="git log --oneline")),
    RUN_TESTS,
    call("grep", pattern="def pages", include="*.py"),
    call("read", file_path="pages/slices.py"),
    call("think", analysis="// rounds down, so the rest is lost"),
    call("done", summary="too early"),
    MEND,
    RUN_TESTS,
    call("done", summary="The last page is counted: the division rounds up."),
]

WHEN = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
"""So that the commit has the same name each time."""


def make(folder):
    """The repository in *folder*, all of it committed."""
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    if shutil.which("git"):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "pages"]):
            subprocess.run(["git", *command], cwd=folder, check=True, env={**os.environ, **WHEN})
    return folder
