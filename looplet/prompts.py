"""The prompts of the text protocol: what the model is told at a step, and when its reply cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from looplet.encode import line_encoder
from looplet.types import AgentState, DefaultState, Step
from looplet.values import bounded, dumps

if TYPE_CHECKING:
    from looplet.memory import PersistentMemorySource
    from looplet.session import SessionLog

RESULT_CHARS = 2_000
"""Most characters of one result that a prompt shows; the middle of a longer one is cut."""

REPLY_SHAPE = '{"tool": "<tool_name>", "args": {...}, "reasoning": "..."}'
"""How a reply of the text protocol looks."""

ACTION_PROMPT = (
    "What do you want to do next? Respond with JSON.\n"
    f"Reply with one JSON object and nothing else: {REPLY_SHAPE}\n"
    'For several calls at once: {"tools": [{"tool": "<tool_name>", "args": {...}}, ...]}'
)
"""What ends a prompt of the text protocol: it states the reply format."""

NATIVE_ACTION_PROMPT = "What do you want to do next? Call a tool."
"""What ends a prompt when the provider takes tool calls natively."""

LOW_BUDGET_WARNING = "⚠ LOW BUDGET — consolidate and prepare your conclusion."
_LOW_BUDGET = 3
_NO_STEPS = "(no steps taken yet)"
_COUNTERS = frozenset({"step_count", "queries_used", "budget_remaining", "task_id"})
_FACT_CHARS = 500
_FACT_ITEMS = 10
_HEADERS = {
    "memory": "MEMORY",
    "task": "TASK",
    "tools": "TOOLS",
    "facts": "ESTABLISHED FACTS",
    "session": "SESSION LOG",
    "assessment": "ASSESSMENT",
    "results": "RECENT RESULTS",
    "step": "STEP",
}
_HEADS = {section: f"═══ {name} ═══" for section, name in _HEADERS.items()}
_RESULTS_HEAD = _HEADS["results"]
_encode = line_encoder()


def build_prompt(
    task: object = None,
    tool_catalog: str = "",
    state_summary: Mapping[str, Any] | None = None,
    context_history: str = "",
    step_number: int = 1,
    max_steps: int = 15,
    session_log: str = "",
    briefing: str = "",
    *,
    memory: str = "",
    render_facts: Callable[[Mapping[str, Any]], Iterable[str] | str] | None = None,
    task_fields: Sequence[str] | None = None,
    action_prompt: str = ACTION_PROMPT,
    low_budget_warning: str = LOW_BUDGET_WARNING,
    section_headers: Mapping[str, str] | None = None,
) -> str:
    """The default prompt of the text protocol: sections with headers, empty ones left out.

    Args:
        task: What is to be done; see `task_text`.
        tool_catalog: The tools, as text.
        state_summary: Facts about the run; `budget_remaining` is shown with the step.
        context_history: The latest results.
        step_number: The step to decide, from 1.
        max_steps: The step budget.
        session_log: The session log; a header of its own is taken in place of ours.
        briefing: What hooks have to say.
        memory: Text that stands before all else.
        render_facts: Makes lines of *state_summary*; the default shows everything that is no counter.
        task_fields: The fields of the task to show, and no others.
        action_prompt: The last words: they must state the reply format.
        low_budget_warning: Shown when 3 steps or fewer are left.
        section_headers: Other names for the sections `memory task tools facts session assessment results
            step`.
    """
    heads, own = _HEADS, section_headers or {}
    if own:
        heads = {**_HEADS, **{section: f"═══ {name} ═══" for section, name in own.items()}}
    facts = state_summary or {}
    lines: list[str] = []
    if memory and memory.strip():
        lines += (heads["memory"], memory, "")
    said = task if type(task) is str else task_text(task, task_fields)
    lines.append(prompt_head(said, tool_catalog, heads))
    if facts and (render_facts is not None or not _COUNTERS.issuperset(facts)):
        told = _facts_text(facts, render_facts)
        lines += (heads["facts"], told, "") if told else ()
    if session_log:
        session_log = _session_section(session_log, own.get("session"))
        lines += (session_log, "")
    if briefing and briefing.strip():
        lines += (heads["assessment"], briefing, "")
    if context_history and context_history != _NO_STEPS:
        lines += (heads["results"], context_history, "")
    budget = facts.get("budget_remaining", "?")
    word = own.get("step", _HEADERS["step"])
    lines.append(f"═══ {word} {step_number}/{max_steps} — budget: {budget} steps remaining ═══")
    if isinstance(budget, int) and budget <= _LOW_BUDGET:
        lines.append(low_budget_warning)
    lines.append(action_prompt)
    return "\n".join(lines)


def prompt_head(task: str, tool_catalog: str, heads: Mapping[str, str] = _HEADS) -> str:
    """What a prompt begins with, at each step the same: the task and the tools."""
    return "\n".join((heads["task"], task, "", heads["tools"], tool_catalog, ""))


def build_plain_prompt(
    head: str,
    session_log: Sequence[str],
    briefing: str,
    results: Sequence[str],
    step_number: int,
    max_steps: int,
    budget: int,
    action_prompt: str,
) -> str:
    """What `build_prompt` makes where there are neither facts nor memory.

    Args:
        head: The `prompt_head`.
        session_log: The lines of the session log, its header first; may be empty.
        results: The latest results; may be empty.
    """
    lines = [head]
    if session_log:
        lines += session_log
        lines.append("")
    if briefing and briefing.strip():
        lines += (_HEADS["assessment"], briefing, "")
    if results:
        lines.append(_RESULTS_HEAD)
        lines += results
        lines.append("")
    lines.append(f"═══ STEP {step_number}/{max_steps} — budget: {budget} steps remaining ═══")
    if budget <= _LOW_BUDGET:
        lines.append(LOW_BUDGET_WARNING)
    lines.append(action_prompt)
    return "\n".join(lines)


def task_text(task: object, fields: Sequence[str] | None = None) -> str:
    """The task as text: a str as it is, a dict as `key: value` lines, a list as `- item` lines.

    Lists and dicts inside are shown as JSON; only None and empty text are left out. Any other object is
    its `str()`.

    Args:
        fields: The keys (or attributes) to show, and no others.
    """
    if isinstance(task, str):
        return task
    if task is None:
        return ""
    if fields is not None:
        found = task if isinstance(task, Mapping) else vars(task)
        task = {name: found[name] for name in fields if found.get(name)}
    if isinstance(task, Mapping):
        return "\n".join(
            [
                f"{key}: {_value_text(value)}"
                for key, value in task.items()
                if value is not None and value != ""
            ]
        )
    if isinstance(task, (list, tuple)):
        return "\n".join([f"- {_value_text(item)}" for item in task])
    return str(task)


def _value_text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json_text(value) if isinstance(value, (dict, list, tuple)) else str(value)


def json_text(value: object) -> str:
    """*value* as one line of JSON; what JSON does not know is shown by `looplet.values.dumps`."""
    try:
        text = _encode(value)
        if not text.isascii():
            text.encode()  # half a surrogate pair cannot be sent
    except (TypeError, ValueError, RecursionError):
        return dumps(value)
    return text


def _facts_text(
    facts: Mapping[str, Any], render_facts: Callable[[Mapping[str, Any]], Iterable[str] | str] | None
) -> str:
    if render_facts is not None:
        text = render_facts(facts)
        return text if isinstance(text, str) else "\n".join(text)
    return "\n".join(
        line for key, value in facts.items() if key not in _COUNTERS for line in _fact(key, value)
    )


def _fact(key: str, value: object) -> list[str]:
    if value is None or value == "" or value == [] or value == {}:
        return []
    if isinstance(value, (list, tuple)):
        return [f"{key} ({len(value)}):", *(f"  • {_fact_item(item)}" for item in value[-_FACT_ITEMS:])]
    return [f"{key}: {bounded(_value_text(value), _FACT_CHARS)}"]


def _fact_item(item: object) -> str:
    if not isinstance(item, dict):
        return bounded(_value_text(item), _FACT_CHARS)
    shown = item.get("description") or item.get("value") or item.get("label") or json_text(item)
    step = f" [step {item['step']}]" if "step" in item else ""
    return f"{bounded(str(shown), _FACT_CHARS)}{step}"


def _session_section(text: str, renamed: str | None) -> str:
    first, _, rest = text.partition("\n")
    if first.startswith("═══ ") and first.endswith(" ═══"):
        return f"═══ {renamed} ═══\n{rest}" if renamed else text
    return f"═══ {renamed or _HEADERS['session']} ═══\n{text}"


def render_result(step: Step, limit: int = RESULT_CHARS) -> str:
    """One step as the model reads it: its summary line, then the result itself.

    Args:
        limit: Most characters of the result; the middle of a longer one is cut and its size told.
    """
    result = step.tool_result
    line = step.summary().removesuffix(" → ?")
    if result.error:
        return f"{line}\n{bounded(result.error, limit)}" if len(result.error) > 60 else line
    data = result.data
    if data is None:
        return line
    text = data if isinstance(data, str) else json_text(data)
    return f"{line}\n{text if len(text) <= limit else bounded(text, limit)}"


def build_parse_recovery_prompt(original_prompt: str, raw_response: object) -> str:
    """The question again, after a reply in which no tool call could be found."""
    shown = "" if raw_response is None else str(raw_response)[:300]
    return f"{original_prompt}\n\n{PARSE_RECOVERY_PROMPT}\n\nYour last reply began:\n{shown}"


PARSE_RECOVERY_PROMPT = (
    "Your last reply could not be read as a tool call. Reply with one valid JSON object of this shape "
    f"and nothing else:\n{REPLY_SHAPE}"
)
"""What a model is told about a reply in which no tool call could be found."""


class Catalogued(Protocol):
    """A tool registry, as far as a prompt needs it."""

    def tool_catalog_text(self) -> str:
        """The tools, as text for a model."""
        ...


class PromptConfig(Protocol):
    """The settings that shape a prompt; `LoopConfig` has them."""

    max_steps: int
    memory_sources: list[PersistentMemorySource]
    build_prompt: Callable[..., str] | None


def preview_prompt(
    task: object = None,
    tools: Catalogued | None = None,
    state: AgentState | None = None,
    session_log: SessionLog | None = None,
    *,
    config: PromptConfig | None = None,
    step_number: int = 1,
) -> str:
    """What the model reads at the first step, in the text protocol, without running anything.

    Hooks are not asked, so their briefings are missing.

    Args:
        task: As for the loop.
        tools: A tool registry.
        state: A fresh `DefaultState` if it is not given.
        session_log: Shown if it has entries.
        config: Gives `max_steps`, `memory_sources` and `build_prompt`.
        step_number: The number to show.
    """
    from looplet.memory import render_memory  # only a preview needs it here

    if state is None:
        state = DefaultState(max_steps=config.max_steps) if config else DefaultState()
    max_steps = config.max_steps if config else state.max_steps if isinstance(state, DefaultState) else 15
    builder = (config.build_prompt if config else None) or build_prompt
    return builder(
        task=task,
        tool_catalog=tools.tool_catalog_text() if tools is not None else "",
        state_summary=state.snapshot(),
        context_history="",
        step_number=step_number,
        max_steps=max_steps,
        session_log=session_log.render_recent() if session_log is not None else "",
        briefing="",
        memory=render_memory(config.memory_sources, state) if config else "",
    )
