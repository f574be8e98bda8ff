"""The order in which evals run: the evals of one case together, trial after trial where a gate asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_looplet.evals.cell import cell_of
from pytest_looplet.evals.gates import GateItem
from pytest_looplet.evals.plan import plan_of


def put_in_order(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Gates last; the evals of one case together where that saves waiting. Correctness never needs it."""
    items.sort(key=lambda item: isinstance(item, GateItem))
    if getattr(config, "workerinput", {}).get("looplet_dist", "worksteal") == "worksteal":
        _put(items, _by_case, [cell_of(item) is not None for item in items])
    # A gate that may stop early looks at whole rounds.
    planned = plan_of(config).evals.values()
    in_rounds = {one.module for one in planned if one.demands.early_stop}
    if in_rounds:
        wanted = [cell_of(item) is not None and _file(item) in in_rounds for item in items]
        _put(items, lambda some: sorted(some, key=_trial), wanted)


def _put(
    items: list[pytest.Item], order: Callable[[list[pytest.Item]], list[pytest.Item]], wanted: list[bool]
) -> None:
    """Order the *wanted* ones of *items* among themselves; the others stay where they are."""
    places = [place for place, is_wanted in enumerate(wanted) if is_wanted]
    for place, item in zip(places, order([items[place] for place in places]), strict=True):
        items[place] = item


def _file(item: pytest.Item) -> str:
    return item.parent.nodeid if item.parent else ""


def _trial(item: pytest.Item) -> int:
    cell = cell_of(item)
    return cell.trial if cell is not None else 0


def _by_case(items: list[pytest.Item]) -> list[pytest.Item]:
    """*items* so that the evals of one cell of one file follow each other, in the order they were met."""
    met: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        cell = cell_of(item)
        assert cell is not None
        met.setdefault((_file(item), cell.id), []).append(item)
    return [item for group in met.values() for item in group]
