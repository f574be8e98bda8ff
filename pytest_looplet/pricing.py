"""What models cost: `looplet_pricing`, a TOML file or the same text in the ini file.

    ["gpt-4o-mini"]
    input = 0.15
    cached = 0.075
    output = 0.60

US dollars for a million tokens. A name stands for its dated versions, too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from looplet.types import ModelPrice

_VERSION = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$")
_NAMES = frozenset({"input", "output", "cached"})


class Pricing(Mapping[str, ModelPrice]):
    """Prices by model name; one without a price of its own has that of its name without the date.

    Args:
        prices: By model name.
    """

    def __init__(self, prices: Mapping[str, ModelPrice]) -> None:
        self._prices = dict(prices)

    def __getitem__(self, model: str) -> ModelPrice:
        return self._prices[model if model in self._prices else _VERSION.sub("", model)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._prices)

    def __len__(self) -> int:
        return len(self._prices)


def read_pricing(value: str, root: Path) -> Pricing:
    """The prices that the ini setting says: the name of a TOML file below *root*, or TOML itself.

    Raises:
        pytest.UsageError: there is no such file, or it says something else than prices.
    """
    import tomllib  # most sessions have no prices

    is_text = "=" in value or "\n" in value.strip()
    where = "looplet_pricing" if is_text else f"looplet_pricing: {value}"
    try:
        text = value if is_text else Path(root, value.strip()).read_text(encoding="utf-8")
        told = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise pytest.UsageError(f"{where}: {error}") from None
    return Pricing({model: _price(where, model, entry) for model, entry in told.items()})


def _price(where: str, model: str, entry: Any) -> ModelPrice:
    named = isinstance(entry, dict) and {"input", "output"} <= entry.keys() <= _NAMES
    if named and all(_is_price(number) for number in entry.values()):
        return ModelPrice(**{name: float(number) for name, number in entry.items()})
    raise pytest.UsageError(
        f'{where}: "{model}" needs input and output, and may have cached: US dollars for a million tokens; '
        "quote a name that has a dot"
    )


def _is_price(number: Any) -> bool:
    return isinstance(number, (int, float)) and type(number) is not bool and 0 <= number < math.inf
