"""Agents that are ready to run: a configuration, hooks, tools and a state that fit each other.

    agent = coding_agent_preset("~/project")
    for step in composable_loop(
        llm, "mend the test", agent.tools, hooks=agent.hooks, config=agent.config, state=agent.state
    ):
        print(step.pretty())

The coding and the research agent work in one folder, with the tools of `looplet.workspace`, and under rules:
`agent.permissions` is the engine that is asked about every call. Commands beyond looking around and running
tests need a person's yes; without a person to ask they are denied.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looplet.budget import ContextBudget, ThresholdCompactHook
from looplet.compact import CompactService, PruneToolResults, SummarizeCompact, TruncateCompact, compact_chain
from looplet.config import LoopConfig
from looplet.errors import ConfigError
from looplet.memory import StaticMemorySource
from looplet.permissions import AskHandler, PermissionEngine, PermissionHook, load_rules
from looplet.tools import BaseToolRegistry, tools_from
from looplet.types import AgentState, DefaultState, ToolCall, ToolResult
from looplet.workspace import confinement, workspace_tools

RULES = Path(__file__).with_name("workspace") / "rules.toml"
"""The rules of a workspace whose commands the system holds to it."""

RULES_UNCONFINED = RULES.with_name("rules_unconfined.toml")
"""The rules where the system cannot do that: tests ask as well."""

CODING_PROMPT = """\
You change code in a workspace, with tools that work nowhere else.
Look before you change: read the files, find what is wrong, make the smallest change that mends it.
Run the tests with bash (python -m pytest -q) and go on until they pass.
bash takes plain commands in the workspace: no redirections, variables, cd. stdout and stderr both come back.
What was refused stays refused: find another way inside the workspace. Call done with a short summary."""

CODING_MEMORY = "Workspace: paths are relative to it, such as src/main.py. Tests must pass before done."

RESEARCH_PROMPT = """\
You answer questions about the files of a workspace, with tools that work nowhere else.
Find the files with glob and grep, read the ones that matter, several at once where that helps.
Say where each finding stands, as file and line. Call done with the answer."""

_HIDES_FAILURE = re.compile(r"[|;\n!`(]|(?<!&)&(?!&)")
_TEST_RUN = re.compile(
    r"(?:\S+=\S*\s+)*(?:\S*/)?(?:pytest|(?:\S+\s+)*?(?:-m|run)\s+(?:pytest|unittest))(?=\s|$)"
)
_RUNS_NOTHING = re.compile(r"\s(?:-h|--help|-V|--version|--co|--collect-only|--fixtures|--markers)(?=\s|$)")
_LOOKED_AT = 500  # characters: a longer command is no plain test run
_CHANGES = frozenset({"write", "edit"})

UNTESTED = (
    "Not done yet: no test run has passed since the last change. Write a test for it if there is none, "
    "then run `python -m pytest -q` with bash until it passes."
)


@dataclass
class AgentPreset:
    """A prepared agent: what `composable_loop` and `looplet_run(agent=...)` take.

    Attributes:
        config: How the run goes.
        hooks: What watches and steers it.
        tools: What it may call.
        state: Its steps and budget; a run uses it up.
    """

    config: LoopConfig
    hooks: list[Any]
    tools: BaseToolRegistry
    state: AgentState

    @property
    def permissions(self) -> PermissionEngine | None:
        """The engine that is asked about every call, or None if there is none."""
        engines = (hook.engine for hook in self.hooks if isinstance(hook, PermissionHook))
        return next(engines, None)


def tested(call: ToolCall, result: ToolResult) -> bool | None:
    """Whether a bash command that runs pytest or unittest ended well; None where that does not tell.

    A pipe, `||`, `;`, `!` or a run in the background hides how tests ended.
    """
    data = result.data
    if call.tool != "bash" or result.error or not isinstance(data, dict) or "exit_code" not in data:
        return None
    command = str(call.args.get("command", "")).strip()
    parts = [part.strip() for part in command.split("&&")]
    runs = any(_TEST_RUN.match(part[:_LOOKED_AT]) and not _RUNS_NOTHING.search(part) for part in parts)
    return data["exit_code"] == 0 if runs and not _HIDES_FAILURE.search(command) else None


class TestsFirst:
    """A hook: `done` is turned down until a test run has passed since the last change to a file.

    What is a test run, `tested` says. What bash changes is not seen.
    """

    __test__ = False

    def __init__(self) -> None:
        self.passed = False

    def post_dispatch(
        self, state: object, session_log: object, tool_call: ToolCall, tool_result: ToolResult, step_num: int
    ) -> None:
        """Look whether this was a test run, or a change to what was tested."""
        data = tool_result.data
        passed = tested(tool_call, tool_result)
        if passed is not None:
            self.passed = passed
        elif tool_call.tool in _CHANGES and isinstance(data, dict) and "error" not in data:
            self.passed = False

    def check_done(self, state: object, session_log: object, context: object, step_num: int) -> str | None:
        """Why the agent must not finish yet, or None."""
        return None if self.passed else UNTESTED

    def save_state(self) -> dict[str, bool]:
        """Whether tests have passed."""
        return {"passed": self.passed}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Remember what `save_state` gave."""
        self.passed = state.get("passed") is True


def workspace_permissions(
    workspace: str | os.PathLike[str],
    *,
    rules: str | os.PathLike[str] | None = None,
    ask_handler: AskHandler | None = None,
) -> PermissionEngine:
    """An engine for the tools of a workspace: its files, looking around, its tests; all else asks.

    Args:
        workspace: The folder that paths start from.
        rules: A rule file of your own, TOML or JSON; ours by default, `RULES` or `RULES_UNCONFINED`.
        ask_handler: Who is asked, such as `TerminalPrompt()`; without one, what asks is denied.

    Raises:
        ConfigError: The rule file is wrong.
    """
    file = rules or (RULES if confinement() else RULES_UNCONFINED)
    loaded = load_rules(file, base=Path(workspace).expanduser().resolve())
    return PermissionEngine(list(loaded.rules), loaded.default, ask_handler)


def coding_agent_preset(
    workspace: str | os.PathLike[str] = ".",
    *,
    max_steps: int = 20,
    context_window: int = 128_000,
    system_prompt: str = "",
    require_tests: bool = True,
    permissions: PermissionEngine | None = None,
    ask_handler: AskHandler | None = None,
) -> AgentPreset:
    """An agent that changes code in a folder and runs its tests.

    Args:
        workspace: An existing folder; nothing outside it is changed.
        max_steps: Step budget.
        context_window: Tokens that the model can take; the history is shortened at 80 % of it.
        system_prompt: Instead of `CODING_PROMPT`.
        require_tests: Turn `done` down until a test run has passed.
        permissions: Rules instead of those of `workspace_permissions`.
        ask_handler: Who is asked where these rules ask; without one, such calls are denied.

    Raises:
        ConfigError: *workspace* is no folder, or both *permissions* and *ask_handler* are given.
    """
    parts = _InWorkspace(workspace, permissions, ask_handler, context_window, (5, 2, 1))
    return parts.agent(
        LoopConfig(
            max_steps=max_steps,
            system_prompt=system_prompt or CODING_PROMPT,
            memory_sources=[StaticMemorySource(CODING_MEMORY)],
        ),
        [TestsFirst()] if require_tests else [],
    )


def research_agent_preset(
    workspace: str | os.PathLike[str] = ".",
    *,
    max_steps: int = 30,
    context_window: int = 128_000,
    system_prompt: str = "",
    permissions: PermissionEngine | None = None,
    ask_handler: AskHandler | None = None,
) -> AgentPreset:
    """An agent that reads in a folder and answers; calls that only look run at once.

    Args:
        workspace: An existing folder.
        max_steps: Step budget.
        context_window: Tokens that the model can take; the history is shortened at 80 % of it.
        system_prompt: Instead of `RESEARCH_PROMPT`.
        permissions: Rules instead of those of `workspace_permissions`.
        ask_handler: Who is asked where these rules ask; without one, such calls are denied.

    Raises:
        ConfigError: *workspace* is no folder, or both *permissions* and *ask_handler* are given.
    """
    parts = _InWorkspace(workspace, permissions, ask_handler, context_window, (8, 3, 2))
    prompt = system_prompt or RESEARCH_PROMPT
    return parts.agent(LoopConfig(max_steps=max_steps, system_prompt=prompt, concurrent_dispatch=True), [])


def minimal_preset(
    *, max_steps: int = 10, tools: Any = None, system_prompt: str = "You are a helpful assistant."
) -> AgentPreset:
    """The least: your tools, and `done` if they have none. There are no rules: the tools are your own.

    Args:
        max_steps: Step budget.
        tools: A registry, which is copied, or a list for `tools_from`.
        system_prompt: Sent with every model call.
    """
    registry = tools.copy() if isinstance(tools, BaseToolRegistry) else tools_from(list(tools or ()))
    if "done" not in registry.tool_names:
        for spec in tools_from([], include_done=True)._tools.values():
            registry.register(spec)
    config = LoopConfig(max_steps=max_steps, system_prompt=system_prompt)
    return AgentPreset(config, [], registry, DefaultState(max_steps=max_steps))


class _InWorkspace:
    """What the agents of a workspace have in common."""

    def __init__(
        self,
        workspace: str | os.PathLike[str],
        permissions: PermissionEngine | None,
        ask_handler: AskHandler | None,
        context_window: int,
        keep: tuple[int, int, int],
    ) -> None:
        if permissions is not None and ask_handler is not None:
            raise ConfigError("permissions and ask_handler: give the handler to the engine")
        self.folder = str(Path(workspace).expanduser().resolve())
        self.tools = workspace_tools(self.folder)
        if permissions is None:
            permissions = workspace_permissions(self.folder, ask_handler=ask_handler)
        self.permissions = permissions
        self.window, self.keep = context_window, keep

    def agent(self, config: LoopConfig, hooks: Sequence[object]) -> AgentPreset:
        config.context_window = self.window
        config.cwd = config.workspace_root = self.folder
        config.compact_service = self._compaction()
        budget = ContextBudget(self.window, int(self.window * 0.6), int(self.window * 0.8), self.window // 10)
        all_hooks = [PermissionHook(self.permissions), *hooks, ThresholdCompactHook(budget)]
        return AgentPreset(config, all_hooks, self.tools, DefaultState(max_steps=config.max_steps))

    def _compaction(self) -> CompactService:
        results, summary, messages = self.keep
        return compact_chain(
            PruneToolResults(keep_recent=results),
            SummarizeCompact(keep_recent=summary),
            TruncateCompact(keep_recent=messages),
        )
