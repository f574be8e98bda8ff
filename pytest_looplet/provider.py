"""From `provider:name` to a backend."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from looplet.backends import AnthropicBackend, OpenAIBackend
from pytest_looplet.cassette import Cassette, CassetteError, Interaction, NotRecorded
from pytest_looplet.cassette.upkeep import read
from pytest_looplet.marker import marked
from pytest_looplet.names import from_here
from pytest_looplet.no_model import NoJudge, NoModel
from pytest_looplet.places import rerecord_command
from pytest_looplet.settings import PROVIDERS, Settings, settings_of

OLLAMA_URL = "http://localhost:11434/v1"


def model_under_test(request: pytest.FixtureRequest, cassette: Cassette | None) -> Any:
    """The backend of the test that asks: from its marker, the settings, or in replay the cassette.

    Raises:
        NoModel: no model is configured and none is recorded.
        NotRecorded: the same, in a replay without a cassette.
    """
    settings = settings_of(request.config)
    recorded = _recorded(cassette, settings)
    wanted = marked(request.node).model or settings.model or next(iter(recorded), None)
    if wanted is None:
        _require_cassette(request, cassette, settings)
    return _backend(wanted, "model", settings)


def _require_cassette(request: pytest.FixtureRequest, cassette: Cassette | None, settings: Settings) -> None:
    """In replay the model comes from the cassette, so a missing one is what there is to say."""
    if cassette is None or settings.calls_models or Path(cassette.path).exists():
        return
    path = from_here(cassette.path)
    raise NotRecorded(
        f"no cassette: {path} does not exist, so there is nothing to replay. Record it once with\n"
        f"{rerecord_command(request.node)} --looplet-model=PROVIDER:NAME"
    )


def judge(request: pytest.FixtureRequest, cassette: Cassette | None) -> Any:
    """The backend that grades: from the settings, or in replay the cassette if it knows one model only.

    Raises:
        NoJudge: no judge is configured and none is recorded.
    """
    settings = settings_of(request.config)
    recorded = _recorded(cassette, settings)
    return _backend(settings.judge or (recorded[0] if len(recorded) == 1 else None), "judge", settings)


def _recorded(cassette: Cassette | None, settings: Settings) -> list[str]:
    """The models on the cassette as `provider:name`, in the order they were asked.

    A recording asks the models of the cassette that it replaces, so that the command which a failure names
    needs no model of its own.
    """
    if cassette is None:
        return []
    calls = _replaced(Path(cassette.path)) if settings.calls_models else cassette.interactions
    names = (
        f"{'anthropic' if call.request.path.endswith('/messages') else 'openai'}:{call.model}"
        for call in calls
        if call.model
    )
    return list(dict.fromkeys(names))


def _replaced(path: Path) -> Sequence[Interaction]:
    """What the cassette holds that is about to be replaced; nothing where it cannot be read."""
    try:
        return read(path).interactions
    except CassetteError:
        return ()


def _backend(wanted: str | None, role: str, settings: Settings) -> Any:
    if wanted is None:
        fixture = "looplet_backend" if role == "model" else "looplet_judge"
        raise (NoModel if role == "model" else NoJudge)(
            f"no {role} is configured: give --looplet-{role}=openai:gpt-4o-mini, set looplet_{role} in the "
            f"ini file, or override the fixture {fixture}"
        )
    provider, _, name = wanted.partition(":")
    if provider == "anthropic":
        return AnthropicBackend.from_env(model=name)
    if provider == "ollama":
        return _compatible(name, settings.base_url or _ollama_url())
    if provider == "openai":
        return (
            _compatible(name, settings.base_url) if settings.base_url else OpenAIBackend.from_env(model=name)
        )
    raise pytest.UsageError(f"--looplet-{role}={wanted}: unknown provider; there are {', '.join(PROVIDERS)}")


def _ollama_url() -> str:
    host = os.environ.get("OLLAMA_HOST")
    if not host:
        return OLLAMA_URL
    return f"{host if '://' in host else f'http://{host}'}".rstrip("/") + "/v1"


def _compatible(name: str, base_url: str) -> OpenAIBackend:
    """A provider that speaks as OpenAI does; local ones take any key."""
    from openai import OpenAI

    client = OpenAI(base_url=base_url, api_key=os.environ.get("OPENAI_API_KEY") or "local")
    return OpenAIBackend(client, model=name)
