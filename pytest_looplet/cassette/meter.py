"""What calls to providers may cost: asked before each call that is not played, told what came back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from looplet.types import ModelPrice, Usage
from pytest_looplet.cassette.errors import BudgetSpent
from pytest_looplet.cassette.exchange import Reply, Request
from pytest_looplet.cassette.interaction import Interaction

MOST_TOKENS = 16_384
"""Tokens that a reply is taken to have at most where its request sets no limit."""

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_SENT = ("prompt_tokens", "input_tokens")
_CACHED = ("cache_read_input_tokens", "cache_creation_input_tokens")
_WRITTEN = ("completion_tokens", "output_tokens")


class Purse(Protocol):
    """Where it is kept what was spent."""

    def spent(self) -> AbstractContextManager[list[float]]:
        """A list with one number, US dollars, that nobody else changes inside the `with` block."""
        ...


class Meter:
    """Stops before the call that could take what is spent over the limit.

    Before a call, the most that it can cost is set aside: a token for each byte of its request, and as many
    as it allows the reply. When the reply has come, what it really cost takes its place.

    Args:
        limit_usd: US dollars.
        prices: By model name.
        purse: Where it is kept what was spent.
    """

    def __init__(self, limit_usd: float, prices: Mapping[str, ModelPrice], purse: Purse) -> None:
        self.limit_usd = limit_usd
        self.prices = prices
        self.purse = purse

    def set_aside(self, call: Interaction, request: Request) -> float:
        """Reserve the most that *call* can cost, and give that; 0 for what is no model call.

        Raises:
            BudgetSpent: that would pass the limit, or nobody knows the price.
        """
        if not call.model:
            return 0.0
        price = self.prices.get(call.model)
        if price is None:
            raise BudgetSpent(
                f"--looplet-budget: the price of {call.model} is not known; add it to looplet_pricing"
            )
        most = price.cost(Usage(len(request.body), _most_written(call, request)))
        with self.purse.spent() as spent:
            if spent[0] + most > self.limit_usd:
                raise BudgetSpent(
                    f"--looplet-budget={self.limit_usd:g}: ${spent[0]:.4f} is spent or set aside, and the "
                    f"next call of {call.model} can cost up to ${most:.4f}; it was not made"
                )
            spent[0] += most
        return most

    def settle(self, call: Interaction, set_aside: float, reply: Reply) -> None:
        """Put what *call* really cost in the place of what was set aside."""
        if set_aside:
            cost = self._cost(call, set_aside, reply)
            with self.purse.spent() as spent:
                spent[0] += cost - set_aside

    def _cost(self, call: Interaction, most: float, reply: Reply) -> float:
        if reply.failure or reply.status >= 400:
            return 0.0
        usage = usage_in(reply)
        return most if usage is None else self.prices[call.model].cost(usage)


def _most_written(call: Interaction, request: Request) -> int:
    asked = call.body.json if call.body is not None else {}
    if request.path.endswith("/embeddings"):
        return 0
    limits = [asked[name] for name in _LIMITS if type(asked.get(name)) is int]
    replies = asked.get("n") if type(asked.get("n")) is int else 1
    return max(limits, default=MOST_TOKENS) * max(1, replies or 1)


def usage_in(reply: Reply) -> Usage | None:
    """The tokens that the last `usage` of a reply counts, all of them at the full price; None without one."""
    body = reply.body.decode("utf-8", "replace")
    sent, written = _last(body, _SENT), _last(body, _WRITTEN)
    if sent is None:
        return None
    cached = sum(_last(body, (name,)) or 0 for name in _CACHED)
    return Usage(sent + cached, written or 0)


def _last(body: str, names: tuple[str, ...]) -> int | None:
    found = re.findall(rf'"(?:{"|".join(names)})":\s*(\d+)', body)
    return int(found[-1]) if found else None


_running: list[Meter] = []


@contextmanager
def metered(meter: Meter) -> Iterator[None]:
    """Ask *meter* before each call of this process that is not played, until the end of the block."""
    _running.append(meter)
    try:
        yield
    finally:
        _running.remove(meter)


def meter() -> Meter | None:
    """The meter that is asked, if any."""
    return _running[-1] if _running else None
