"""`looplet replay RUN --agent FILE:NAME`: recorded replies through today's tools and hooks."""

from __future__ import annotations

import argparse
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from looplet.cli.command import NO, OK, Command
from looplet.errors import ConfigError
from looplet.provenance.replay import RecordedBackend, ReplayDiverged, replay_through
from looplet.text import escape_terminal


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trace_dir", help="a run directory")
    parser.add_argument(
        "--agent",
        required=True,
        metavar="FILE:NAME",
        help="today's agent: a list of tools, a registry, or an AgentPreset, by file and name",
    )
    parser.add_argument(
        "--until-step", type=int, metavar="N", help="recorded replies up to step N, then the model"
    )
    parser.add_argument("--model", metavar="PROVIDER:NAME", help="the model that goes on after --until-step")


def _replay(options: argparse.Namespace) -> int:
    if options.until_step is not None and not options.model:
        raise ConfigError("--until-step goes on with a live model: name it with --model openai:NAME")
    agent = _load(options.agent)
    then = _model(options.model) if options.model else None
    backend = RecordedBackend(options.trace_dir, then=then, until_step=options.until_step)
    hooks, config, tools = getattr(agent, "hooks", None), getattr(agent, "config", None), agent
    tools = getattr(agent, "tools", tools)
    try:
        for step in replay_through(backend, options.trace_dir, tools=tools, hooks=hooks, config=config):
            print(escape_terminal(step.pretty()))
    except ReplayDiverged as problem:
        print(escape_terminal(str(backend.divergence or problem), lines=True))
        return NO
    if backend.divergence is not None:
        print(escape_terminal(str(backend.divergence), lines=True))
        return NO
    print("no divergence: today's agent asked for what was recorded")
    return OK


def _load(where: str) -> Any:
    file, _, name = where.rpartition(":")
    path = Path(file)
    if not file or not path.exists():
        raise ConfigError(f"--agent {where}: give FILE:NAME of a file that exists")
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--agent {where}: {path} is no Python file")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        raise ConfigError(f"--agent {where}: {path} has no {name!r}")
    found = getattr(module, name)
    is_factory = callable(found) and not hasattr(found, "dispatch") and not isinstance(found, type)
    return found() if is_factory else found


def _model(name: str) -> Any:
    provider, _, model = name.partition(":")
    from looplet import backends

    known = {"openai": "OpenAIBackend", "anthropic": "AnthropicBackend"}
    if provider not in known or not model:
        raise ConfigError(f"--model {name}: give openai:NAME or anthropic:NAME")
    return getattr(backends, known[provider]).from_env(model=model)


COMMAND = Command(
    "replay", "run today's tools on recorded replies; exit 1 at a divergence", _arguments, _replay
)
