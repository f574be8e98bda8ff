"""Small charts as inline SVG, each with an accessible name."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_looplet.report.html.text import esc

WIDTH = 120
TALL = 64


def _svg(name: str, width: int, height: int, inside: str, kind: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{esc(name)}"><title>{esc(name)}</title>{inside}</svg>'
    )


def score_bar(score: float, before: float | None) -> str:
    """A bar for a mean score from 0 to 1, with a mark where the baseline stood."""
    name = f"mean score {score:.2f}" + ("" if before is None else f", baseline {before:.2f}")
    parts = f'<rect class="rail" width="{WIDTH}" height="12" rx="3"/>'
    parts += f'<rect class="fill" width="{_x(score)}" height="12" rx="3"/>'
    if before is not None:
        parts += f'<rect class="before" x="{min(_x(before), WIDTH - 2)}" y="-1" width="2" height="14"/>'
    return _svg(name, WIDTH, 12, parts, "bar")


def rate_bar(passed: int, judged: int, low: float, high: float) -> str:
    """A pass rate as a point in its interval."""
    rate = passed / judged
    name = f"pass rate {rate:.0%}, 95 % interval {low:.0%} to {high:.0%}, {judged} runs"
    parts = f'<rect class="rail" width="{WIDTH}" height="12" rx="3"/>'
    parts += f'<rect class="span" x="{_x(low)}" y="4" width="{max(1.0, _x(high) - _x(low)):.1f}" height="4"/>'
    parts += f'<circle class="point" cx="{min(max(_x(rate), 5), WIDTH - 5)}" cy="6" r="5"/>'
    return _svg(name, WIDTH, 12, parts, "bar")


def columns(name: str, values: Sequence[tuple[str, int, int]]) -> str:
    """Stacked columns.

    Args:
        name: What the chart shows.
        values: What a column is, its lower and its upper part.
    """
    most = max((low + high for _, low, high in values), default=0)
    if not most:
        return ""
    # Hundreds of columns would be thinner than a line: neighbours are added up.
    step = -(-len(values) // 120)
    groups = [values[at : at + step] for at in range(0, len(values), step)]
    sums = [(group[0][0], sum(v[1] for v in group), sum(v[2] for v in group)) for group in groups]
    most = max(low + high for _, low, high in sums)
    wide = max(4, min(24, 480 // len(sums)))
    parts = []
    for place, (label, low, high) in enumerate(sums):
        tall, base = TALL * (low + high) / most, TALL * low / most
        x, bar = place * wide, wide - max(1, wide // 6)
        parts.append(
            f"<g><title>{esc(label)}: {low:,} sent, {high:,} written</title>"
            + _rect("sent", x, TALL - base, bar, base)
            + _rect("written", x, TALL - tall, bar, tall - base)
            + "</g>"
        )
    label = f"{name}; {len(values)} calls, {sum(v[1] for v in values):,} tokens sent, "
    return _svg(
        label + f"{sum(v[2] for v in values):,} written, at most {most:,} in one column",
        len(sums) * wide,
        TALL,
        "".join(parts),
        "columns",
    )


def _rect(kind: str, x: int, y: float, width: int, height: float) -> str:
    return f'<rect class="{kind}" x="{x}" y="{y:.1f}" width="{width}" height="{height:.1f}"/>'


def _x(share: float) -> float:
    return round(WIDTH * min(max(share, 0.0), 1.0), 1)
