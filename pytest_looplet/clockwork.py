"""`looplet_clock`: time, ids and random numbers that are the same in every execution of a test."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

from looplet.clock import FixedClock, fixed_clock

SEED = 0


@contextmanager
def fixed() -> Iterator[FixedClock]:
    """A fixed clock in force, and the generator of the module `random` seeded; both are put back."""
    before = random.getstate()
    random.seed(SEED)
    try:
        with fixed_clock() as clock:
            yield clock
    finally:
        random.setstate(before)
