"""Hooks that the plugin offers to other plugins and to `conftest.py`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

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


@pytest.hookspec
def pytest_looplet_redact(text: str) -> Iterable[str] | None:
    """Say which parts of *text* must not be stored; a placeholder takes their place, also when comparing.

        def pytest_looplet_redact(text):
            return re.findall(r"ACME-[0-9]{6}", text)

    Args:
        text: Any text of a request or a reply, on its way into a cassette. Known secrets are out already.
    """


@pytest.hookspec
def pytest_looplet_normalize_request(request: dict[str, Any]) -> None:
    """Change *request* in place, so that what shall not count is the same in all requests.

        def pytest_looplet_normalize_request(request):
            request["body"].pop("user", None)

    It is called for recorded requests and for those that are held against them; what is sent and stored
    stays as it is.

    Args:
        request: `{"method", "path", "query", "body"}`; the body is text where it is no JSON.
    """
