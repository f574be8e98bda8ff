"""Prompt caching: which parts of a request a provider may cache, and when they changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from looplet.engine.observe import RunObserver


@dataclass(frozen=True)
class CacheControl:
    """How long a provider may keep a part.

    Attributes:
        ttl: `"ephemeral"` (the provider's short default) or `"1h"`.
    """

    ttl: Literal["ephemeral", "1h"] = "ephemeral"


@dataclass(frozen=True)
class CacheBreakpoint:
    """The end of a part that may be cached.

    Attributes:
        label: `system_prompt`, `tool_schemas` or `memory`.
        hash: First 16 hex digits of the SHA-256 of the content: changes when the cache is lost.
        content: The part's text.
        control: How long it may be kept.
    """

    label: str
    hash: str
    content: str
    control: CacheControl = field(default_factory=CacheControl)


@dataclass
class CachePolicy:
    """Which parts of a request may be cached; None leaves a part out.

    Attributes:
        system_prompt: For the system prompt.
        tool_schemas: For the tools.
        memory: For the persistent memory.
    """

    system_prompt: CacheControl | None = None
    tool_schemas: CacheControl | None = None
    memory: CacheControl | None = None

    def sections(self) -> list[tuple[str, CacheControl]]:
        """`(label, control)` of the parts that may be cached, in the order they are sent."""
        parts = (
            ("system_prompt", self.system_prompt),
            ("tool_schemas", self.tool_schemas),
            ("memory", self.memory),
        )
        return [(label, control) for label, control in parts if control is not None]


def compute_breakpoints(
    policy: CachePolicy, *, system_prompt: str, tool_schemas_text: str, memory_text: str
) -> list[CacheBreakpoint]:
    """The breakpoints of one request, in the order of its parts; an empty part has none."""
    texts = {"system_prompt": system_prompt, "tool_schemas": tool_schemas_text, "memory": memory_text}
    return [
        CacheBreakpoint(label, _digest(texts[label]), texts[label], control)
        for label, control in policy.sections()
        if texts[label]
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class CacheBreakDetector(RunObserver):
    """Computes breakpoints like `compute_breakpoints` and remembers when a part changed.

    Among the hooks of a run with `LoopConfig.cache_policy` it computes those of the run.
    """

    def __init__(self, policy: CachePolicy) -> None:
        self.policy = policy
        self._hashes: dict[str, str] = {}
        self._breaks: list[tuple[int, str, str, str]] = []

    @property
    def breaks(self) -> list[tuple[int, str, str, str]]:
        """`(step, label, old hash, new hash)` for each change so far; the list is a copy."""
        return list(self._breaks)

    def record(
        self, step_num: int, *, system_prompt: str, tool_schemas_text: str, memory_text: str
    ) -> list[CacheBreakpoint]:
        """The breakpoints of the request of *step_num*; what differs from the one before is a break."""
        found = compute_breakpoints(
            self.policy,
            system_prompt=system_prompt,
            tool_schemas_text=tool_schemas_text,
            memory_text=memory_text,
        )
        for point in found:
            old = self._hashes.get(point.label)
            if old is not None and old != point.hash:
                self._breaks.append((step_num, point.label, old, point.hash))
            self._hashes[point.label] = point.hash
        return found
