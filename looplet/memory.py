"""Persistent memory: texts that stand at the head of every prompt, however long the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class PersistentMemorySource(Protocol):
    """Anything that has a text to remember."""

    def load(self, state: Any) -> str | None:
        """The text for the run's present *state*; None or blank for none. Asked before every step."""
        ...


@dataclass(frozen=True)
class StaticMemorySource:
    """The same text at every step.

    Attributes:
        text: The text.
    """

    text: str

    def load(self, state: Any) -> str | None:
        """The text, whatever the state."""
        return self.text


@dataclass(frozen=True)
class CallableMemorySource:
    """A text that is computed from the run's state.

    Attributes:
        fn: Called with the state at every step; gives the text, or None.
    """

    fn: Callable[[Any], str | None]

    def load(self, state: Any) -> str | None:
        """What the function says of *state*. Its exceptions are not caught."""
        return self.fn(state)


def render_memory(sources: Iterable[PersistentMemorySource] | None, state: Any) -> str:
    """The texts of all *sources*, stripped, with a blank line between them; `""` if there are none."""
    texts = (source.load(state) for source in sources or ())
    return "\n\n".join(stripped for text in texts if text and (stripped := text.strip()))
