"""What a baseline accepts of each case: the ways it may behave, how often each was seen, and what it used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from looplet.evals.spent import figures_of
from looplet.text import count
from looplet.trajectory import Trajectory
from looplet.trajectory.diff import difference
from looplet.trajectory.encode import encode

NAMES = "baseline", "new"


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to behave.

    Attributes:
        run: A run that behaved so, without ids, durations and model calls.
        seen: How many runs did.
    """

    run: Trajectory
    seen: int = 1


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is accepted of one case.

    Attributes:
        variants: The ways it may behave, the most frequent first.
        figures: Mean steps, tokens and cost of the runs that were accepted, as far as they are known.
    """

    variants: tuple[Variant, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def seen(self) -> int:
        """How many runs were accepted."""
        return sum(variant.seen for variant in self.variants)

    def departure(self, run: Trajectory) -> tuple[str, ...]:
        """How *run* behaved otherwise than the nearest variant, in lines; empty if it is like one."""
        nearest: tuple[Variant, list[str]] | None = None
        for variant in self.variants:
            lines = _differences(variant.run, run)
            if not lines:
                return ()
            if nearest is None or len(lines) < len(nearest[1]):
                nearest = variant, lines
        if nearest is None:
            return ()
        variant, lines = nearest
        if len(self.variants) == 1:
            return tuple(lines)
        which = f"like none of the {len(self.variants)} accepted variants"
        return (f"{which}; of the nearest, seen in {variant.seen} of {self.seen} runs:", *lines)

    def and_also(self, other: Accepted) -> Accepted:
        """Both: the variants of the two with their frequencies, and the mean of what they used."""
        runs = [(v.run, v.seen) for one in (self, other) for v in one.variants]
        shared = self.figures.keys() & other.figures.keys()
        mine, its = self.seen, other.seen
        figures = {
            name: round((self.figures[name] * mine + other.figures[name] * its) / (mine + its), 9)
            for name in sorted(shared)
        }
        return Accepted(_variants(runs), figures)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        variants = [{"seen": variant.seen, "run": encode(variant.run)} for variant in self.variants]
        return {"variants": variants, "figures": dict(self.figures)}


def accepted_of(runs: Iterable[Trajectory]) -> Accepted:
    """What is accepted of a case with these *runs*."""
    some = list(runs)
    return Accepted(_variants((run.behaviour(), 1) for run in some), figures_of(some))


def accepted_from(content: Mapping[str, Any], source: str) -> Accepted:
    """What `Accepted.to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError, TraceError: it is nothing of the kind.
    """
    variants = tuple(
        Variant(Trajectory.from_json(json.dumps(one["run"]), source=source), int(one["seen"]))
        for one in content["variants"]
    )
    return Accepted(variants, {str(name): float(figure) for name, figure in content["figures"].items()})


def by_case(runs: Mapping[str, Trajectory], cases: Mapping[str, str]) -> dict[str, list[Trajectory]]:
    """*runs* by their case; a run that *cases* does not know is a case of its own."""
    found: dict[str, list[Trajectory]] = {}
    for name, run in runs.items():
        found.setdefault(cases.get(name, name), []).append(run)
    return found


def _variants(runs: Iterable[tuple[Trajectory, int]]) -> tuple[Variant, ...]:
    found: list[Variant] = []
    for run, seen in runs:
        for place, variant in enumerate(found):
            if not _differences(variant.run, run):
                found[place] = Variant(variant.run, variant.seen + seen)
                break
        else:
            found.append(Variant(run, seen))
    return tuple(sorted(found, key=lambda variant: -variant.seen))


def _differences(before: Trajectory, run: Trajectory) -> list[str]:
    return [] if before == run else difference(before, run, names=NAMES)


def variants_text(accepted: Accepted) -> str:
    """For example `2 variants, seen 5 and 1 times`."""
    if len(accepted.variants) < 2:
        return count(len(accepted.variants), "variant")
    times = ", ".join(str(variant.seen) for variant in accepted.variants)
    return f"{count(len(accepted.variants), 'variant')}, seen {times} times"
