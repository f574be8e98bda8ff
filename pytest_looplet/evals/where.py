"""Which `eval_*.py` files are ours: never a stranger's script."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest

PATTERN = "eval_*.py"

users_patterns_key = pytest.StashKey[tuple[str, ...]]()


def admit(path: Path, parent: pytest.Collector) -> None:
    """Let pytest collect *path*, and files of its kind, from now on, if it is ours.

    The pattern is added only when the first such file turns up, so that nothing changes for suites without
    evals. pytest's assertion rewriting reads the same list, so `assert` in an eval tells its operands.
    """
    config = parent.config
    if users_patterns_key not in config.stash and is_ours(path, parent.session):
        config.stash[users_patterns_key] = tuple(config.getini("python_files"))
        config.addinivalue_line("python_files", PATTERN)


def is_ours(path: Path, session: pytest.Session) -> bool:
    """Whether *path* is named by the user, lies in a folder `evals` or matches `looplet_eval_paths`."""
    if not fnmatch(path.name, PATTERN):
        return False
    root = session.config.rootpath
    inside = path.relative_to(root) if path.is_relative_to(root) else path
    if session.isinitpath(path) or "evals" in (root.name, *inside.parts[:-1]):
        return True
    globs = session.config.getini("looplet_eval_paths") or ()
    return any(fnmatch(inside.as_posix(), glob) for glob in globs)
