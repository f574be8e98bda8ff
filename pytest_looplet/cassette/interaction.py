"""One recorded call, what was asked and what came back; and a recording, which is many."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pytest_looplet.cassette.body import Body
from pytest_looplet.cassette.encoding import styled
from pytest_looplet.cassette.exchange import Reply, Request


@dataclass(slots=True, eq=False)
class Interaction:
    """One call on a cassette.

    Attributes:
        request: The request. Its `body` is empty where `body` below can be written out exactly.
        body: The body as JSON, or None where it is no JSON object.
        reply: What came back; None while a recording waits for it.
        number: Place on the cassette, from 1; 0 for a call that is not on it yet.
        played: Whether this replay has used it.
    """

    request: Request
    body: Body | None
    reply: Reply | None = None
    number: int = 0
    played: bool = False

    @property
    def request_bytes(self) -> bytes:
        """The request body as it was sent, redactions aside."""
        if self.body is not None and self.body.style is not None:
            return styled(self.body.json, self.body.style)
        return self.request.body

    @property
    def model(self) -> str:
        """The model that was asked; empty where the request names none."""
        name: Any = self.body.json.get("model") if self.body else None
        return name if isinstance(name, str) else ""


@dataclass(slots=True)
class Recording:
    """What a cassette file holds.

    Attributes:
        interactions: The calls, in the order they were begun.
        free_order: They were made from several threads or tasks, so their order means nothing.
    """

    interactions: list[Interaction] = field(default_factory=list)
    free_order: bool = False
