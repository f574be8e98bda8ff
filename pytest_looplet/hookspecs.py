"""Hooks that the plugin offers to other plugins and to `conftest.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_looplet.report.model import SessionReport


@pytest.hookspec
def pytest_looplet_report(config: pytest.Config, report: SessionReport) -> None:
    """Called once at the end of a session that judged agents, with everything it found out.

    Args:
        config: The session's configuration.
        report: The frozen report, as it is written to files.
    """
