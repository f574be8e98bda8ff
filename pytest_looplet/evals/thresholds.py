"""`--looplet-threshold NAME=X`: which evals it means, and names that mean none."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from difflib import get_close_matches

import pytest

from looplet.evals.marks import Demands, marks_of
from pytest_looplet.evals.plan import plan_of
from pytest_looplet.settings import settings_of


def threshold_of(item: pytest.Function) -> float | None:
    """The least score of the eval *item* that the session sets: by its name, else by a tag, else for all.

    Where several of its tags have one, the highest counts.
    """
    settings = settings_of(item.config)
    if not settings.thresholds:
        return settings.threshold
    if item.originalname in settings.thresholds:
        return settings.thresholds[item.originalname]
    by_tag = [settings.thresholds[tag] for tag in marks_of(item.obj) if tag in settings.thresholds]
    return max(by_tag, default=settings.threshold)


def named_demands(item: pytest.Function, demands: Demands) -> Demands:
    """*demands* with the threshold that the session gives the eval *item* by name: it must have a score."""
    named = settings_of(item.config).thresholds.get(item.originalname)
    return demands if named is None or demands.threshold is not None else replace(demands, threshold=named)


def unknown_names(config: pytest.Config) -> list[str]:
    """A line for each threshold whose name is that of no eval and no tag that was collected.

    The ini file may name evals of files that the user left out of this session.
    """
    evals = plan_of(config).evals.values()
    known = {planned.name for planned in evals} | {tag for planned in evals for tag in planned.tags}
    given = settings_of(config).thresholds
    if config.args_source is config.ArgsSource.ARGS:
        named = {rule.rpartition("=")[0].strip() for rule in config.getoption("looplet_threshold") or ()}
        given = {name: number for name, number in given.items() if name in named}
    return [_line(name, number, known) for name, number in given.items() if name not in known]


def _line(name: str, number: float, known: Collection[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    mend = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known)) or 'no evals'}"
    return f"--looplet-threshold={name}={number:g}: no eval and no tag is called {name!r}; {mend}"
