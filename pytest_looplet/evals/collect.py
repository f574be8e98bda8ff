"""Which collector an `eval_*.py` file gets, once a session is known to have evals."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest

from pytest_looplet.evals.hooks import EvalHooks
from pytest_looplet.evals.module import EvalModule
from pytest_looplet.evals.where import is_ours, users_patterns_key


def make_module(path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """The collector for *path*: evals, nothing for a stranger's script, or None where pytest decides."""
    patterns = parent.config.stash[users_patterns_key]
    if is_ours(path, parent.session):
        EvalHooks.register(parent.config)
        return EvalModule.from_parent(parent, path=path)
    if any(fnmatch(path.name if "/" not in pattern else str(path), pattern) for pattern in patterns):
        return None
    return _Strangers.from_parent(parent, path=path)


class _Strangers(pytest.Module):
    """A script that only looks like a file of evals: collected as nothing, and never imported."""

    def collect(self) -> list[pytest.Item]:
        return []
