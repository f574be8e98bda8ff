"""The skills a run may take: a catalogue in every request, the rest on demand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from looplet.errors import ConfigError
from looplet.skills.skill import Skill
from looplet.tools import BaseToolRegistry, ToolSpec

ACTIVATE, READ_FILE = "activate_skill", "read_skill_file"

SHELF_TOOLS = frozenset({ACTIVATE, READ_FILE})
"""Names of the tools that a shelf brings itself."""

MOST_FILES = 100
"""Bundled files that an activation, or an error, lists."""

LARGEST_FILE = 200_000
"""Most characters of a bundled file that the model is given."""


class SkillShelf:
    """Puts skills before the model: a memory source for the catalogue, and tools to take one.

    Give it to `LoopConfig.skills` through a list of skills; the loop does the rest.

    Args:
        skills: The skills, each under a name of its own.
        registry: Gets `activate_skill` and `read_skill_file` now, and a skill's tools when it is activated.

    Raises:
        ConfigError: Two skills have one name, or a skill brings a tool that is invalid or exists.
    """

    def __init__(self, skills: Sequence[Skill], registry: BaseToolRegistry) -> None:
        self.skills = {skill.name: skill for skill in skills}
        if len(self.skills) != len(skills):
            raise ConfigError(f"two skills have one name: {sorted(skill.name for skill in skills)}")
        own = self._own_tools(any(skill.folder is not None for skill in skills))
        trial = registry.copy()
        for spec in own:
            trial.register(spec)
        for skill in skills:
            skill.register(trial.copy())  # what cannot be activated is refused before the run
        self.active: list[str] = []
        self._registry = registry
        for spec in own:
            registry.register(spec)

    def _own_tools(self, has_files: bool) -> list[ToolSpec]:
        name = {"name": {"type": "string"}}
        about = "Load a skill's instructions and tools. Do this before a task that a skill is for."
        schema: dict[str, Any] = {"type": "object", "properties": name, "required": ["name"]}
        tools = [ToolSpec(ACTIVATE, about, schema, self._activate, idempotent=True)]
        if has_files:
            path = {**name, "path": {"type": "string"}}
            schema = {"type": "object", "properties": path, "required": ["name", "path"]}
            about = "Read a file that is bundled with an active skill."
            tools.append(ToolSpec(READ_FILE, about, schema, self._read, idempotent=True))
        return tools

    def load(self, state: Any) -> str | None:
        """The catalogue, and the memory of active skills: what every request carries."""
        parts = ["Skills, by name (activate one before you need it):"]
        parts += [skill.as_catalog_entry() for skill in self.skills.values()]
        for name in self.active:
            memory = self.skills[name].memory
            text = memory.load(state) if hasattr(memory, "load") else memory
            parts += [str(text)] if text else []
        return "\n".join(parts)

    def pre_loop(self, state: Any, session_log: Any, context: Any) -> None:
        """Nothing: a shelf is among a run's hooks so that checkpoints keep what is active."""

    def save_state(self) -> list[str]:
        """The active skills, for a checkpoint."""
        return list(self.active)

    def load_state(self, state: list[str]) -> None:
        """Activate what was active."""
        for name in state:
            self._activate(name=name)

    def _activate(self, *, name: str) -> dict[str, Any]:
        skill = self._skill(name)
        if name not in self.active:
            skill.register(self._registry)
            self.active.append(name)
        answer: dict[str, Any] = {"skill": name, "instructions": skill.instructions}
        if skill.tools:
            answer["tools"] = skill.tool_names()
        files = _bundled(skill)
        if files:
            answer["files"] = files
        return answer

    def _skill(self, name: str) -> Skill:
        if name not in self.skills:
            raise ValueError(f"no skill {name!r}; there are: {', '.join(self.skills)}")
        return self.skills[name]

    def _read(self, *, name: str, path: str) -> str:
        skill = self._skill(name)
        if name not in self.active or skill.folder is None:
            raise ValueError(f"skill {name!r} is not active; call {ACTIVATE} first")
        root = skill.folder.resolve()
        file = (root / path).resolve()
        if not file.is_relative_to(root) or not file.is_file():
            raise ValueError(
                f"{path!r} is no file of skill {name!r}; there are: {', '.join(_bundled(skill))}"
            )
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.read(LARGEST_FILE)


def _bundled(skill: Skill) -> list[str]:
    if skill.folder is None:
        return []
    root = Path(skill.folder)
    home = root.resolve()
    found = (
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "SKILL.md" and path.resolve().is_relative_to(home)
    )
    return [str(path.relative_to(root)) for path in islice(found, MOST_FILES)]
