"""One trajectory as HTML: its facts, its tokens, its steps with everything that was said and decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from looplet.engine.observe import Decision
from looplet.text import count
from looplet.trajectory import Trajectory
from looplet.trajectory.call import RecordedCall
from looplet.trajectory.table import args_text, result_text
from looplet.types import Block, Step, ThreadMessage
from pytest_looplet.report.html import charts
from pytest_looplet.report.html.text import block, esc, number, value

SHORT = 60
DEPTH = 4
"""Runs within runs that are shown."""


def run_html(run: Trajectory, changes: Mapping[str, Sequence[str]], depth: int = 0) -> Iterator[str]:
    """The pieces of the section of *run*.

    Args:
        run: The trajectory.
        changes: How it behaved otherwise, in lines, below what it is held against.
        depth: How many runs it is inside of.
    """
    yield from _facts(run)
    for title, lines in changes.items():
        if lines:
            yield f"<h4>{title}</h4>{block(chr(10).join(lines), 'diff')}"
    tokens = [
        (f"step {call.step}", call.usage.input_tokens, call.usage.output_tokens)
        for call in run.model_calls
        if call.usage is not None
    ]
    if chart := charts.columns("tokens by step", tokens):
        yield (
            '<h4>Tokens by step <small class="key"><i class="k-sent"></i> sent '
            f'<i class="k-written"></i> written</small></h4>{chart}'
        )
    yield from _steps(run)
    for number_, child in enumerate(run.children, 1):
        yield f'<details class="child"><summary>run {number_} started by this run</summary>'
        if depth < DEPTH:
            yield from run_html(child, {}, depth + 1)
        else:
            yield "<p>deeper runs are in the JSON report</p>"
        yield "</details>"


def _facts(run: Trajectory) -> Iterator[str]:
    cost = number(run.cost_usd, ".4f", " USD") if run.cost_usd is not None else ""
    facts = [
        ("stopped", run.stop_reason or "the end was not seen"),
        ("steps", f"{len(run.steps):,}"),
        ("model calls", f"{len(run.model_calls):,}"),
        ("tokens", f"{run.usage.total_tokens:,}"),
        ("cost", cost),
        ("time", number(run.duration_ms / 1000, ",.2f", " s")),
        *((name, str(run.metadata.get(name, ""))) for name in ("cassette", "run_dir")),
    ]
    rows = "".join(f"<div><dt>{name}</dt><dd>{esc(text)}</dd></div>" for name, text in facts if text)
    yield f'<dl class="facts">{rows}</dl>'
    if run.error:
        yield f'<p class="error" role="note">✗ {esc(run.error)}</p>'
    for name, content in (("Task", run.task), ("Answer", run.final_output), ("Artifacts", run.artifacts)):
        if content not in (None, "", {}):
            yield f"<h4>{name}</h4>{value(content)}"


def _steps(run: Trajectory) -> Iterator[str]:
    calls: dict[int, list[RecordedCall]] = defaultdict(list)
    for call in run.model_calls:
        calls[call.step].append(call)
    decisions: dict[int, list[Decision]] = defaultdict(list)
    for decision in run.decisions:
        decisions[decision.step].append(decision)
    if run.steps:
        yield f'<h4>{count(len(run.steps), "step")}</h4><ol class="steps">'
        for step in run.steps:
            yield f"<li>{_step(step, calls.pop(step.number, []), decisions.pop(step.number, []))}</li>"
        yield "</ol>"
    rest = [call for some in calls.values() for call in some]
    if rest:
        yield f"<details><summary>{count(len(rest), 'model call')} that led to no step</summary>"
        yield from map(_call, rest)
        yield "</details>"
    for some in decisions.values():
        yield from map(_decision, some)


def _step(step: Step, calls: Sequence[RecordedCall], decisions: Sequence[Decision]) -> str:
    call, result = step.tool_call, step.tool_result
    mark = "✗" if result.error else "✓"
    kind = "bad" if result.error else "good"
    parts = [
        f'<details class="step"><summary><span class="n">{step.number}</span> '
        f'<span class="{kind}" aria-label="{"failed" if result.error else "ok"}">{mark}</span> '
        f"<code>{esc(call.tool)}</code> <span>{esc(args_text(call.args, SHORT))}</span> "
        f'<span class="res">→ {esc(result_text(result, SHORT))}</span> '
        f'<span class="ms">{result.duration_ms:,.0f} ms</span></summary>'
    ]
    parts += map(_call, calls)
    if call.reasoning:
        parts.append(f"<h5>Reasoning</h5>{block(call.reasoning)}")
    parts += map(_decision, decisions)
    parts.append(f"<h5>Arguments</h5>{value(call.args)}")
    parts.append(
        f"<h5>Error</h5>{block(result.error, 'bad')}"
        if result.error
        else f"<h5>Result</h5>{value(result.data)}"
    )
    return "".join([*parts, "</details>"])


def _decision(decision: Decision) -> str:
    reason = f": {decision.reason}" if decision.reason else ""
    return (
        f'<p class="decision"><b>{esc(decision.verdict)}</b> {esc(decision.tool)} '
        f"by {esc(decision.by)}{esc(reason)}</p>"
    )


def _call(call: RecordedCall) -> str:
    tokens = f", {call.usage.total_tokens:,} tokens" if call.usage is not None else ""
    about = f"call {call.number}, {call.purpose}, {call.model or 'model'}{tokens}, {call.duration_ms:,.0f} ms"
    kept = f"<p>after {count(call.kept, 'message')} as before</p>" if call.kept else ""
    system = f"<h5>System</h5>{block(call.system_prompt)}" if call.system_prompt and call.number == 1 else ""
    sent = "".join(map(_message, call.added))
    reply = "".join(map(_block, call.reply))
    error = f'<p class="error">✗ {esc(call.error)}</p>' if call.error else ""
    return (
        f"<h5>Model said <small>{esc(about)}</small></h5>{reply or '<p>nothing</p>'}{error}"
        f'<details class="sent"><summary>what it was sent</summary>{system}{kept}{sent}</details>'
    )


def _message(message: ThreadMessage) -> str:
    content = message.get("content")
    blocks = content if isinstance(content, list) else [{"type": "text", "text": str(content)}]
    return f"<h5>{esc(message.get('role', '?'))}</h5>{''.join(map(_block, blocks))}"


def _block(part: Block) -> str:
    kind = part.get("type")
    if kind == "text":
        kept = part.get("kept_head", 0) + part.get("kept_tail", 0)
        note = f'<p class="cut">and {kept:,} characters as in the prompt before</p>' if kept else ""
        return block(str(part.get("text", ""))) + note
    rest = {name: content for name, content in part.items() if name != "type"}
    return f'<p class="kind">{esc(kind)}</p>{value(rest)}'
