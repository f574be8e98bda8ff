"""A hook that stops a run once it has used too many tokens or too much money."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from math import inf
from typing import Any

from looplet.engine.observe import ModelCall, Request, RunObserver
from looplet.errors import ConfigError
from looplet.hook_decision import HookDecision, Stop
from looplet.types import ModelPrice, Prices, Usage

TOKEN_BUDGET, COST_BUDGET = "token_budget", "cost_budget"
"""The stop reasons."""


class BudgetHook(RunObserver):
    """Stops a run, sub-agents included, after the step in which it passes a limit.

    Where a provider counts no tokens, four characters are taken for one. A call that is already under way is
    not cut, so a run may pass the limit by the calls of one step. The stop reason is `token_budget` or
    `cost_budget`; runs that share the hook at the same time share the budget. A run that is resumed goes on
    with what it has left.

    Args:
        max_tokens: Tokens sent and written, in all.
        max_usd: US dollars, in all.
        prices: Model name to price; needed for *max_usd*.

    Attributes:
        usage: Tokens so far.
        cost_usd: US dollars so far; 0 where no prices were given.

    Raises:
        ConfigError: There is no limit, one is not above 0, *max_usd* comes without *prices*, or a price is
            below 0 or no finite number; in a run: a model has no price.
    """

    inherited = True  # sub-agents spend from the same purse

    def __init__(
        self, *, max_tokens: int | None = None, max_usd: float | None = None, prices: Prices | None = None
    ) -> None:
        if max_tokens is None and max_usd is None:
            raise ConfigError("BudgetHook() limits nothing: give max_tokens=, or max_usd= with prices=")
        for name, limit in (("max_tokens", max_tokens), ("max_usd", max_usd)):
            if limit is not None and not (_is_number(limit) and limit > 0):
                raise ConfigError(f"BudgetHook({name}={limit!r}): give a number above 0")
        if max_usd is not None and not prices:
            raise ConfigError("BudgetHook(max_usd=...) needs prices={'model': ModelPrice(input=, output=)}")
        _check_prices(prices or {})
        self.usage = Usage()
        self.cost_usd = 0.0
        self._max_tokens = max_tokens
        self._max_usd = max_usd
        self._prices = prices
        self._running = 0
        self._unpriced = ""
        self._is_over = False
        self._lock = threading.Lock()

    def run_started(self, task: object, *, run_id: str) -> None:
        """Begin to count, unless a run that shares the budget is on."""
        with self._lock:
            self._forget_what_is_over()
            self._running += 1

    def _forget_what_is_over(self) -> None:
        # Not where a run starts: one that is resumed has told its earlier calls by then.
        if self._is_over:
            self.usage, self.cost_usd, self._is_over, self._unpriced = Usage(), 0.0, False, ""

    def model_asked(self, step: int, request: Request) -> None:
        """Nothing; by being here, requests name their model."""

    def model_called(self, call: ModelCall) -> None:
        """Count a call."""
        if call.reply is None:
            return
        usage = call.reply.usage or _estimated(call)
        price = self._price(call)
        with self._lock:
            self._forget_what_is_over()
            self.usage += usage
            self.cost_usd += price.cost(usage) if price is not None else 0.0

    def run_ended(self, stop_reason: str, error: BaseException | None) -> None:
        """One run less shares the budget."""
        with self._lock:
            self._running -= 1
            self._is_over = not self._running

    def save_state(self) -> dict[str, Any]:
        """What was used so far, by sub-agents too."""
        usage = self.usage
        return {
            "usage": [usage.input_tokens, usage.output_tokens, usage.cached_tokens],
            "cost_usd": self.cost_usd,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `save_state` gave; the run's own calls were counted again by now."""
        with self._lock:
            self.usage = max(self.usage, Usage(*state["usage"]), key=lambda usage: usage.total_tokens)
            self.cost_usd = max(self.cost_usd, state["cost_usd"])

    def should_stop(self, state: Any, step_num: int, new_entities: int) -> HookDecision | bool:
        """Whether a limit is passed. Raises `ConfigError` where nobody can know, because of a sub-agent."""
        if self._unpriced:
            raise ConfigError(self._unpriced)
        if self._max_tokens is not None and self.usage.total_tokens > self._max_tokens:
            return Stop(TOKEN_BUDGET)
        if self._max_usd is not None and self.cost_usd > self._max_usd:
            return Stop(COST_BUDGET)
        return False

    def _price(self, call: ModelCall) -> ModelPrice | None:
        prices = self._prices or {}
        assert call.reply is not None
        names = [name for name in (call.reply.model, call.request.model) if name]
        found = next((prices[name] for name in names if name in prices), None)
        if found is None and self._max_usd is not None:
            self._unpriced = f"BudgetHook: prices has no {' and no '.join(names) or 'model without a name'}"
            raise ConfigError(self._unpriced)
        return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_prices(prices: Prices) -> None:
    for model, price in prices.items():
        if not isinstance(price, ModelPrice):
            raise ConfigError(f"BudgetHook(prices={{{model!r}: {price!r}}}): give a ModelPrice")
        parts = (price.input, price.output, 0 if price.cached is None else price.cached)
        # With a price that is below 0 or no number, what was spent would never pass a limit.
        if not all(_is_number(part) and 0 <= part < inf for part in parts):
            raise ConfigError(f"BudgetHook(prices={{{model!r}: {price!r}}}): give US dollars of at least 0")


def _estimated(call: ModelCall) -> Usage:
    assert call.reply is not None
    sent = sum(len(str(message["content"])) for message in call.request.messages) or len(call.request.prompt)
    return Usage((sent + len(call.request.system_prompt)) // 4, len(str(call.reply.blocks)) // 4)
