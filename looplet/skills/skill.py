"""What a skill is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from looplet.errors import ConfigError
from looplet.text import visible
from looplet.tools import BaseToolRegistry, ToolSpec


@dataclass
class Skill:
    """Tools, instructions and memory that belong together. All text of it is data: it grants nothing.

    Attributes:
        name: What it is called.
        tools: Its tools.
        instructions: How to do what it is for; read by the model once it is activated.
        memory: A text or a memory source that every request carries once it is activated.
        description: When to use it; read by the model from the start.
        folder: Where its bundled files are, or None.

    Raises:
        ConfigError: A field is not of its type.
    """

    name: str
    tools: list[ToolSpec] = field(default_factory=list)
    instructions: str = ""
    memory: Any = None
    description: str = ""
    folder: Path | None = None

    def __post_init__(self) -> None:
        texts = {"name": self.name, "instructions": self.instructions, "description": self.description}
        for field_name, text in texts.items():
            if not isinstance(text, str):
                raise ConfigError(f"Skill({field_name}={text!r}): give a text")
        if not isinstance(self.tools, list | tuple):
            raise ConfigError(f"Skill(tools={self.tools!r}): give a list of ToolSpec")
        if self.folder is not None:
            self.folder = Path(self.folder)

    def register(self, registry: BaseToolRegistry, *, replace: bool = False) -> int:
        """Add all its tools to *registry*, or none of them; gives how many.

        Raises:
            ConfigError: A tool's name is taken, or a tool is invalid.
        """
        trial = BaseToolRegistry()
        for spec in self.tools:
            trial.register(spec)
            taken = spec.name.lower() in {name.lower() for name in registry.tool_names}
            if taken and not replace:
                raise ConfigError(
                    f"skill {self.name!r} brings a tool {spec.name!r}, and there is one already; "
                    "rename it or pass replace=True"
                )
        for spec in self.tools:
            if replace:
                registry.register(spec, replace=True)
            else:  # a subclass may have a `register` of its own, that takes no more than a tool
                registry.register(spec)
        return len(self.tools)

    def tool_names(self) -> list[str]:
        """Names of its tools."""
        return [spec.name for spec in self.tools]

    def as_catalog_entry(self) -> str:
        """One line: `[name] what for — tools: a, b`."""
        tools = f"tools: {', '.join(self.tool_names())}" if self.tools else "(no tools)"
        about = visible(" ".join((self.description or self.instructions[:80]).split()))
        return f"[{self.name}] {about} — {tools}"
