"""What users' hooks say of requests, as a cassette wants it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_looplet.cassette import Normalizer

HIDDEN = "[redacted:hook]"
"""What stands for a text that `pytest_looplet_redact` named."""


def redactors(node: pytest.Item) -> list[Callable[[str], str]]:
    """What takes out of a text the parts that hooks name; empty if nobody has such a hook."""
    if not node.config.hook.pytest_looplet_redact.get_hookimpls():
        return []

    def redact(text: str) -> str:
        named = {str(part) for parts in node.ihook.pytest_looplet_redact(text=text) for part in parts}
        for part in sorted(named - {""}, key=lambda part: (-len(part), part)):
            text = text.replace(part, HIDDEN)
        return text

    return [redact]


def normalizers(node: pytest.Item) -> list[Normalizer]:
    """What makes a request comparable as hooks say; empty if nobody has such a hook."""
    if not node.config.hook.pytest_looplet_normalize_request.get_hookimpls():
        return []

    def normalize(request: dict[str, Any]) -> dict[str, Any]:
        node.ihook.pytest_looplet_normalize_request(request=request)
        return request

    return [normalize]
