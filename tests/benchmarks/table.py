"""The table of `docs/performance.md`, made of what the benchmarks wrote.

    python tests/benchmarks/table.py RESULTS.json [PAGE.md]

RESULTS.json is pytest-benchmark's; a row is one measure, its figure the fastest round of each side. With a
page the table replaces what stands there between its two markers; otherwise it is printed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- table: make bench -->", "<!-- end of table -->"


def rows(results: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Measure, our time, the floor's, their ratio and the target, for each group of *results*."""
    for one in results["benchmarks"]:
        told = one["extra_info"]
        seconds, per, target = told["seconds"] | {"ours": one["stats"]["min"]}, told["per"], told["target"]
        each = {side: took / (per if isinstance(per, int) else per[side]) for side, took in seconds.items()}
        ours = each["ours"] - each.get("base", 0.0)
        floor = each["floor"] - each.get("floor_base", 0.0)
        yield (
            one["group"],
            micros(ours),
            micros(floor),
            f"{ours / floor:.2f}",
            "" if target is None else f"{target:g}",
        )


def micros(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f}" if seconds < 1e-3 else f"{seconds * 1e6:,.0f}"


def table(results: Mapping[str, Any]) -> str:
    heads = ("measure", "ours, µs", "floor, µs", "ratio", "at most")
    lines = [heads, ("---", "--:", "--:", "--:", "--:"), *rows(results)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def put(page: Path, text: str) -> None:
    """Replace what stands on *page* between the markers."""
    content = page.read_text(encoding="utf-8")
    before, rest = content.split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Read the arguments, make the table, put it where it belongs."""
    made = table(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    if len(arguments) > 1:
        put(Path(arguments[1]), made)
    else:
        print(made)


if __name__ == "__main__":
    main(sys.argv[1:])
