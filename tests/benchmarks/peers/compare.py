"""Us and our peers on one machine in one run: `make bench-peers`.

    python tests/benchmarks/peers/compare.py [--environments DIR] [--rounds N] [--page PAGE.md]

Each peer has an environment of its own, pinned in `requirements/`, made once below DIR (default:
`looplet-peers` in the folder for temporary files). Jobs are interleaved, one round after the other, so that
a slow moment of the machine hits all alike; a figure is the median of the rounds. Compare the ratios, never
the seconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BEGIN, END = "<!-- table: make bench-peers -->", "<!-- end of peers -->"
FLOOR = "by hand"
OURS = "pytest-looplet"


@dataclass(frozen=True, slots=True)
class Measure:
    """One row block of the table.

    Attributes:
        name: What is measured.
        script: By the name of a peer: its environment (empty: this one), and the arguments of Python.
        scale: What a figure is multiplied by for `unit`.
        unit: What the table shows.
        target: The highest ratio of ours to `against` that is good enough.
        against: Whom ours is held against.
    """

    name: str
    script: dict[str, tuple[str, str]]
    scale: float
    unit: str
    target: float
    against: str = FLOOR


MEASURES = (
    Measure(
        "a step, 50 steps",
        {
            FLOOR: ("", "bare.py step 50"),
            OURS: ("", "ours.py step 50"),
            "langgraph": ("langgraph", "langgraph_agent.py step 50"),
            "pydantic-ai": ("pydantic", "pydantic_agent.py step 50"),
        },
        1e6,
        "µs",
        8,
    ),
    Measure(
        "a step, 1,000 steps",
        {
            FLOOR: ("", "bare.py step 1000"),
            OURS: ("", "ours.py step 1000"),
            "pydantic-ai": ("pydantic", "pydantic_agent.py step 1000"),
        },
        1e6,
        "µs",
        8,
    ),
    Measure(
        "what the import adds to a start of Python",
        {
            FLOOR: ("", "-c pass"),
            OURS: ("", "-c 'from looplet import composable_loop'"),
            "langgraph": ("langgraph", "-c 'from langgraph.prebuilt import create_react_agent'"),
            "pydantic-ai": ("pydantic", "-c 'from pydantic_ai import Agent'"),
            "smolagents": ("smolagents", "-c 'from smolagents import ToolCallingAgent'"),
        },
        1e3,
        "ms",
        4.5,
    ),
    Measure(
        "a replayed call, 50 calls",
        {
            FLOOR: ("", "bare.py replay 50"),
            OURS: ("", "ours.py replay 50"),
            "vcrpy, by body": ("vcrpy", "vcrpy_cassette.py replay 50"),
            "vcrpy, by address": ("vcrpy", "vcrpy_cassette.py replay_by_address 50"),
        },
        1e3,
        "ms",
        1.25,
    ),
    Measure(
        "a cassette of 200 calls",
        {OURS: ("", "ours.py size 200"), "vcrpy": ("vcrpy", "vcrpy_cassette.py size 200")},
        1e-3,
        "kB",
        0.02,
        "vcrpy",
    ),
    Measure(
        "scoring a run with three evals",
        {
            OURS: ("", "ours.py score 1000"),
            "pydantic-evals": ("pydantic", "pydantic_agent.py score 1000"),
        },
        1e6,
        "µs",
        0.05,
        "pydantic-evals",
    ),
    Measure(
        "64 runs of 10 calls of 50 ms at once",
        {
            FLOOR: ("", "bare.py batch"),
            OURS: ("", "ours.py batch"),
            "pydantic-ai": ("pydantic", "pydantic_agent.py batch"),
        },
        1.0,
        "s",
        1.06,
    ),
    Measure(
        "what a durable checkpoint adds to a step, 200 steps",
        {
            FLOOR: ("", "bare.py checkpoint 200"),
            OURS: ("", "ours.py checkpoint 200"),
            "langgraph, sqlite": ("langgraph", "langgraph_agent.py checkpoint 200"),
        },
        1e6,
        "µs",
        1.5,
    ),
)


def environment(name: str, folder: Path) -> str:
    """The interpreter of the environment *name*, made where it is missing or pinned otherwise by now."""
    if not name:
        return sys.executable
    pins = HERE / "requirements" / f"{name}.txt"
    made, python = folder / name, folder / name / "bin" / "python"
    stamp = made / "pins.txt"
    if not stamp.exists() or stamp.read_text() != pins.read_text():
        print(f"making {made}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", made], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", pins], check=True)
        stamp.write_text(pins.read_text())
    return str(python)


def figure(python: str, words: str) -> float:
    """What a peer's script prints, or the seconds that an import takes."""
    outside = {k: v for k, v in os.environ.items() if k not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}}
    if words.startswith("-c "):
        empty, whole = (_started(python, code, outside) for code in ("pass", words[3:].strip("'")))
        return empty if words == "-c pass" else whole - empty
    done = subprocess.run(
        [python, *words.split()], check=True, cwd=HERE, env=outside, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout)


def _started(python: str, code: str, environ: Mapping[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([python, "-c", code], check=True, env=environ)
    return time.perf_counter() - began


def measured(measure: Measure, folder: Path, rounds: int) -> dict[str, float]:
    """The median of each peer, in the unit of *measure*."""
    pythons = {peer: environment(name, folder) for peer, (name, _) in measure.script.items()}
    taken: dict[str, list[float]] = {peer: [] for peer in measure.script}
    for _ in range(rounds):
        for peer, (_name, words) in measure.script.items():
            taken[peer].append(figure(pythons[peer], words) * measure.scale)
    return {peer: statistics.median(figures) for peer, figures in taken.items()}


def table(results: dict[str, dict[str, float]]) -> str:
    """Markdown: a row for each peer of each measure."""
    lines = ["| measure | who | figure | ratio | at most |", "|---|---|--:|--:|--:|"]
    for measure in MEASURES:
        found = results[measure.name]
        for peer, value in sorted(found.items(), key=lambda item: item[1]):
            ratio = value / found[measure.against]
            wanted = f"{measure.target:g}" if peer == OURS else ""
            lines.append(
                f"| {measure.name} | {peer} | {value:,.3g} {measure.unit} | {ratio:.3g} | {wanted} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, put it on a page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder = Path(tempfile.gettempdir()) / "looplet-peers"
    parser.add_argument("--environments", type=Path, default=folder)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    results = {}
    for measure in MEASURES:
        results[measure.name] = measured(measure, asked.environments, asked.rounds)
        print(measure.name, results[measure.name], file=sys.stderr)
    made = table(results)
    print(made)
    if asked.page:
        content = asked.page.read_text(encoding="utf-8")
        before, rest = content.split(BEGIN)
        page = f"{before}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}"
        asked.page.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
