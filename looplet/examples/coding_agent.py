"""A coding agent one dares to run: it works in one folder, under rules, and says what it did.

    python -m looplet.examples.coding_agent "make the tests pass" --workspace ~/project --trace traces/today

It talks to any server that speaks OpenAI's chat completions (`--base-url`, or `OPENAI_BASE_URL`). Files are
reached inside the workspace only. Commands that look around or run the tests run by themselves, on Linux held
to the workspace by the system; about any other a person at the terminal is asked, and without one it is
denied. Commands see nothing of the environment but where programs are.

`--trace DIR` writes the run: `looplet show DIR`, `looplet replay DIR`, and who decided what in
`DIR/permissions.jsonl`. `--resume` goes on with a run of that folder which was stopped or killed.
Exit code 0 if the agent finished, 1 if not, 2 for a usage error, 130 if it was interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from looplet.errors import ConfigError, LoopletError
from looplet.evals import EvalContext, EvalHook
from looplet.examples.hello_world import backend
from looplet.loop import composable_loop
from looplet.permissions import PermissionEngine, TerminalPrompt
from looplet.presets import (
    AgentPreset,
    TestsFirst as CodingGuardrailHook,
    coding_agent_preset,
    tested,
    workspace_permissions,
)
from looplet.provenance import ProvenanceSink
from looplet.text import escape_terminal, shorten
from looplet.tools import BaseToolRegistry
from looplet.types import Step, capabilities_of
from looplet.workspace import confinement, workspace_tools

__all__ = ["CodingGuardrailHook", "build_tools", "main", "run_coding_agent"]

TASK = (
    "Write fib.py with a function fib(n) that gives the n-th Fibonacci number, with a test file test_fib.py; "
    "run the tests until they pass."
)

ARG_CHARS = 60
"""Characters of one argument in a line about a step."""


def eval_finished(ctx: EvalContext) -> bool:
    """Whether the agent said that it is done, and was let."""
    return ctx.completed


def eval_tests_pass(ctx: EvalContext) -> bool:
    """Whether the last test run passed."""
    runs = [passed for step in ctx.steps if (passed := tested(step.tool_call, step.tool_result)) is not None]
    return bool(runs) and runs[-1]


def eval_calls_allowed(ctx: EvalContext) -> float:
    """The share of calls that its rules allowed."""
    allowed = [step.tool_result.error_kind != "permission_denied" for step in ctx.steps]
    return sum(allowed) / len(allowed) if allowed else 1.0


def build_tools(workspace: str | os.PathLike[str]) -> BaseToolRegistry:
    """The agent's tools: bash, read, write, edit, glob, grep, think, done, in one folder."""
    return workspace_tools(workspace)


def run_coding_agent(
    llm: Any,
    task: Any = TASK,
    *,
    max_steps: int = 20,
    workspace: str | os.PathLike[str] | None = None,
    trace_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    permissions: PermissionEngine | None = None,
) -> dict[str, Any]:
    """Let the agent work, and print its steps as they come.

    Args:
        llm: The backend.
        task: What to do.
        max_steps: Step budget.
        workspace: The folder it works in; by default an empty one that is gone afterwards.
        trace_dir: Where to write the run.
        resume: Go on with the run in *trace_dir*, which ended early.
        permissions: Rules instead of those of `workspace_permissions`.

    Returns:
        `task`, `steps` (dicts), `llm_calls`, `total_time_ms`, `stop_reason` and `permissions`, the engine.

    Raises:
        ConfigError: *resume* without *trace_dir* or *workspace*, or *workspace* is no folder.
        CheckpointError: The run in *trace_dir* cannot be resumed; says why.
        TraceError: *trace_dir* holds a run and *resume* is not given, or it cannot be written.
    """
    if resume and (trace_dir is None or workspace is None):
        raise ConfigError("to resume a run, name the folder of its trace and its workspace")
    with _folder(workspace) as folder:
        agent = coding_agent_preset(folder, max_steps=max_steps, permissions=permissions)
        evals = EvalHook(
            [eval_finished, eval_tests_pass, eval_calls_allowed], task={"task": str(task)}, verbose=True
        )
        agent.hooks.append(evals)
        if trace_dir is not None:
            _write_into(Path(trace_dir), agent, resume)
        _introduce(llm, task, folder, max_steps)
        trace = _drive(llm, task, agent)
    if trace_dir is not None:
        evals.save(Path(trace_dir) / "eval_results.json")
    return trace


@contextmanager
def _folder(workspace: str | os.PathLike[str] | None) -> Iterator[str]:
    if workspace is not None:
        yield os.fspath(workspace)
        return
    with TemporaryDirectory(prefix="looplet-workspace-", ignore_cleanup_errors=True) as folder:
        yield folder


def _write_into(trace_dir: Path, agent: AgentPreset, resume: bool) -> None:
    """Make the run write itself into a folder: what it did, what was decided, and where to go on."""
    sink = ProvenanceSink(trace_dir, replace=resume)
    agent.hooks.append(sink.trajectory_hook())
    agent.config = replace(
        agent.config,
        observers=[*agent.config.observers, sink.call_observer()],
        checkpoint_dir=str(trace_dir / "checkpoint"),
        resume="auto" if resume else "never",
    )
    if agent.permissions is not None:
        agent.permissions.audit.path = trace_dir / "permissions.jsonl"


def _drive(llm: Any, task: Any, agent: AgentPreset) -> dict[str, Any]:
    steps = composable_loop(llm, task, agent.tools, hooks=agent.hooks, config=agent.config, state=agent.state)
    trace: dict[str, Any] = {}
    while not trace:
        try:
            lines = _told(next(steps))
        except StopIteration as end:
            trace = dict(end.value)
        else:
            print("\n".join(escape_terminal(line) for line in lines))
    trace.pop("conversation", None)
    trace["stop_reason"] = getattr(agent.state, "_stop_reason", "")
    trace["permissions"] = agent.permissions
    print(f"[harness] Done. {len(trace['steps'])} steps, stop reason: {trace['stop_reason']}")
    return trace


def _introduce(llm: Any, task: Any, folder: str, max_steps: int) -> None:
    held = "held to it by the system" if confinement() else "held to it by rules only"
    lines = (
        f"[backend] {type(llm).__name__}",
        f"[harness] Tool protocol: {'native' if capabilities_of(llm).chat else 'json-text'}",
        f"[harness] Workspace: {folder} (its commands are {held})",
        f"[harness] Task: {shorten(str(task), 200)}",
        f"[harness] Max steps: {max_steps}",
    )
    for line in lines:
        print(escape_terminal(line))


def _told(step: Step) -> Iterator[str]:
    result, data = step.tool_result, step.tool_result.data
    args = ", ".join(
        f"{name}={shorten(repr(value), ARG_CHARS)}" for name, value in step.tool_call.args.items()
    )
    problem = result.error or (data.get("error") if isinstance(data, dict) else None)
    yield f"  Step {step.number}: {step.tool_call.tool}({args}) {'✗' if problem else '✓'}"
    if problem:
        yield f"    {shorten(str(problem), 200)}"
    passed = tested(step.tool_call, step.tool_result)
    if passed is not None:
        yield f"    Tests: {'PASSED ✓' if passed else 'FAILED ✗'}"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m looplet.examples.coding_agent",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", nargs="?", default=TASK, help="what to do (default: a small exercise)")
    parser.add_argument("--max-steps", type=int, default=15, metavar="N", help="step budget (default: 15)")
    parser.add_argument("--base-url", metavar="URL", help="the server (default: OPENAI_BASE_URL)")
    parser.add_argument(
        "--model", default=os.environ.get("OPENAI_MODEL", "gpt-4.1"), metavar="NAME", help="model to ask for"
    )
    parser.add_argument("--workspace", metavar="DIR", help="folder to work in (default: a temporary one)")
    parser.add_argument("--rules", metavar="FILE", help="a rule file of your own, TOML or JSON")
    parser.add_argument("--trace", metavar="DIR", help="write the run into this folder")
    parser.add_argument("--resume", action="store_true", help="go on with the run in the folder of --trace")
    options = parser.parse_args(argv)
    if options.resume and not (options.trace and options.workspace):
        parser.error("--resume needs --trace DIR and --workspace DIR of the run to go on with")
    if options.max_steps < 1:
        parser.error("--max-steps: give a number of at least 1")
    if options.workspace and not Path(options.workspace).is_dir():
        parser.error(f"--workspace {options.workspace}: there is no such folder; make it first")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the agent from a command line: 0 if it finished, 1 if not; exits with 2 for a usage error."""
    options = _arguments(argv)
    llm = backend(options.model, options.base_url)
    person = TerminalPrompt() if sys.stdin is not None and sys.stdin.isatty() else None
    try:
        with _folder(options.workspace) as folder:
            trace = run_coding_agent(
                llm,
                options.task,
                max_steps=options.max_steps,
                workspace=folder,
                trace_dir=options.trace,
                resume=options.resume,
                permissions=workspace_permissions(folder, rules=options.rules, ask_handler=person),
            )
    except LoopletError as problem:
        print(escape_terminal(f"error: {problem}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped" + ("; --resume goes on" if options.trace else ""), file=sys.stderr)
        return 130
    finally:
        llm.client.close()
    return 0 if trace["stop_reason"] == "done" else 1


if __name__ == "__main__":
    sys.exit(main())
