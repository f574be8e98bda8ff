"""Options and ini settings, read once and checked."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

import pytest

from looplet.evals.spent import TOLERANCES
from pytest_looplet.pricing import Pricing, read_pricing

Mode: TypeAlias = Literal["replay", "rewrite", "missing", "tail"]
Match: TypeAlias = Literal["strict", "sequence"]
Unused: TypeAlias = Literal["error", "warn", "ignore"]
Policy: TypeAlias = Literal["fail", "warn"]

DriftClass: TypeAlias = Literal["prompt", "history", "tools", "params", "model", "calls"]

PROVIDERS = ("openai", "anthropic", "ollama")
"""What may stand before the colon in the name of a model."""

DRIFT_CLASSES: tuple[str, ...] = get_args(DriftClass)
REPORT_SUFFIXES = (".json", ".html", ".md")
ACCEPTED_NOWHERE = "--looplet-accept needs to know where: give --looplet-baseline=FILE"


@dataclass(frozen=True, slots=True)
class Settings:
    """How this session meets its models and judges its evals; the plugin's options in words.

    Attributes:
        mode: When to call the model.
        live: No cassettes at all.
        match: How a request is held against the recorded one.
        drift: What each class of drift does; a class that is not named fails.
        unused: What recorded calls do that a replay did not make.
        allow_hosts: Hosts a replay may connect to.
        cassette_dir: Folder of cassettes beside a test file.
        runs: Folder of saved runs to grade instead of running the agent, or None.
        save_runs: Folder that gets a run directory for every trajectory, or None.
        trials: Times each case is run.
        concurrency: Cases that run at once when models are really called, and calls to one provider.
        call_limits: Calls at once to single providers, by host.
        provider_retries: How often a run is repeated that died of its provider.
        threshold: Least score of evals without their own, or None.
        thresholds: The same for single evals, by name.
        require_all: Whether a required eval that was left out is red.
        baseline: Report of an accepted session, or None.
        accept: Whether today's runs and scores become the new expectation.
        tolerances: The share by which steps, tokens and cost of a case may differ from the baseline.
        more_is_red: Whether a figure that rose beyond that is a regression.
        reports: Files to write a report to.
        model: `provider:name` of the model under test, or None.
        judge: `provider:name` of the model that grades, or None.
        base_url: Base URL of an OpenAI-compatible provider, or None.
        prices: What models cost, or None.
        budget: US dollars that calls to providers may cost in all, or None.
    """

    mode: Mode = "replay"
    live: bool = False
    match: Match = "strict"
    drift: dict[DriftClass, Policy] = field(default_factory=dict)
    unused: Unused = "error"
    allow_hosts: tuple[str, ...] = ()
    cassette_dir: str = "cassettes"
    runs: Path | None = None
    save_runs: Path | None = None
    trials: int = 1
    concurrency: int = 1
    call_limits: dict[str, int] = field(default_factory=dict)
    provider_retries: int = 1
    threshold: float | None = None
    thresholds: dict[str, float] = field(default_factory=dict)
    require_all: bool = False
    baseline: Path | None = None
    accept: bool = False
    tolerances: Mapping[str, float] = field(default_factory=lambda: TOLERANCES)
    more_is_red: bool = False
    reports: tuple[Path, ...] = ()
    model: str | None = None
    judge: str | None = None
    base_url: str | None = None
    prices: Pricing | None = None
    budget: float | None = None

    @property
    def keeps_runs(self) -> bool:
        """Whether a report will show whole trajectories."""
        return self.accept or self.baseline is not None or any(p.suffix != ".md" for p in self.reports)

    @property
    def calls_models(self) -> bool:
        """Whether this session may call a provider."""
        return self.live or self.mode != "replay"


settings_key = pytest.StashKey[Settings]()


def settings_of(config: pytest.Config) -> Settings:
    """The settings of this session.

    Raises:
        pytest.UsageError: a value that is none, or two that contradict each other.
    """
    found = config.stash.get(settings_key, None)
    if found is None:
        found = config.stash[settings_key] = _read(config)
    return found


def _read(config: pytest.Config) -> Settings:
    _refuse_empty(config)
    mode, live = _mode(config), bool(config.getoption("looplet_live"))
    threshold, thresholds = _thresholds(config)
    concurrency, call_limits = _concurrency(config)
    return Settings(
        mode=mode,
        live=live,
        match=cast(Match, _one_of(config, "match", get_args(Match)) or "strict"),
        drift=parse_drift(
            [*(config.getini("looplet_drift") or ()), *(config.getoption("looplet_drift") or ())]
        ),
        unused=cast(
            Unused, _choice("looplet_unused", config.getini("looplet_unused") or "error", get_args(Unused))
        ),
        allow_hosts=tuple(config.getini("looplet_allow_hosts") or ()),
        cassette_dir=_text(config, "cassette_dir") or "cassettes",
        runs=_path(config, "runs"),
        save_runs=_save_runs(config),
        trials=_trials(config),
        concurrency=concurrency,
        call_limits=call_limits,
        provider_retries=_provider_retries(config),
        threshold=threshold,
        thresholds=thresholds,
        require_all=_require_all(config),
        baseline=_path(config, "baseline"),
        accept=_accept(config),
        tolerances=_tolerances(config),
        more_is_red=_choice(
            "looplet_beyond_tolerance",
            config.getini("looplet_beyond_tolerance") or "report",
            ("report", "fail"),
        )
        == "fail",
        reports=_reports(config),
        model=_model(config, "model"),
        judge=_model(config, "judge"),
        base_url=config.getini("looplet_base_url") or None,
        prices=_prices(config),
        budget=_budget(config),
    )


def _refuse_empty(config: pytest.Config) -> None:
    """An option whose shell variable is not set must not take a gate out of force."""
    for name in ("mode", "match", "cassette_dir", "runs", "save_runs", "baseline", "model", "judge"):
        if config.getoption(f"looplet_{name}") == "":
            shown = f"--looplet-{name.replace('_', '-')}"
            raise pytest.UsageError(f"{shown}= is empty: give it a value, or leave the option out")


def _require_all(config: pytest.Config) -> bool:
    wanted = bool(config.getoption("looplet_require_all"))
    if wanted and config.getoption("lf", False):
        raise pytest.UsageError(
            "--looplet-require-all cannot know what --lf leaves out: it does not even look into whole files"
        )
    return wanted


def _text(config: pytest.Config, name: str) -> str | None:
    """The option of that name, else the ini setting, else None."""
    value = config.getoption(f"looplet_{name}") or config.getini(f"looplet_{name}")
    return str(value) if value else None


def _choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise pytest.UsageError(f"{name}: {value!r} is none of {', '.join(choices)}")
    return value


def _one_of(config: pytest.Config, name: str, choices: tuple[str, ...]) -> str | None:
    value = _text(config, name)
    return None if value is None else _choice(f"--looplet-{name}", value, choices)


def _mode(config: pytest.Config) -> Mode:
    """The option by name wins; in CI the ini setting does not count, so that nothing records by accident."""
    named = config.getoption("looplet_mode")
    record, live = config.getoption("looplet_record"), config.getoption("looplet_live")
    if record and named not in (None, "rewrite"):
        raise pytest.UsageError(
            f"--looplet-record means --looplet-mode=rewrite; --looplet-mode={named} says otherwise"
        )
    if live and (record or named not in (None, "replay")):
        raise pytest.UsageError(
            "--looplet-live writes no cassette; leave out --looplet-record and --looplet-mode"
        )
    if record:
        return "rewrite"
    if named is None and is_ci(os.environ):
        return "replay"
    return cast(
        Mode, _choice("--looplet-mode", named or config.getini("looplet_mode") or "replay", get_args(Mode))
    )


def parse_drift(rules: list[str]) -> dict[DriftClass, Policy]:
    """`["prompt=warn"]` as a dict.

    Raises:
        pytest.UsageError: an unknown class or policy.
    """
    found: dict[DriftClass, Policy] = {}
    for rule in rules:
        name, _, policy = (part.strip() for part in rule.partition("="))
        _choice("--looplet-drift", name, DRIFT_CLASSES)
        _choice(f"--looplet-drift={name}", policy, get_args(Policy))
        found[cast(DriftClass, name)] = cast(Policy, policy)
    return found


def is_ci(environ: Mapping[str, str]) -> bool:
    """Whether this is a build server's session: nothing is recorded or accepted there by accident."""
    return environ.get("CI", "").lower() not in ("", "0", "false")


def _accept(config: pytest.Config) -> bool:
    if not config.getoption("looplet_accept"):
        return False
    if is_ci(os.environ):
        raise pytest.UsageError(
            "--looplet-accept is refused when CI is set: a person accepts, and commits the result"
        )
    return True


def _path(config: pytest.Config, name: str) -> Path | None:
    named, ini = config.getoption(f"looplet_{name}"), config.getini(f"looplet_{name}")
    if named:
        return Path(config.invocation_params.dir, named)
    return Path(config.rootpath, ini) if ini else None


def _save_runs(config: pytest.Config) -> Path | None:
    named = config.getoption("looplet_save_runs")
    return Path(config.invocation_params.dir, named) if named else None


def _trials(config: pytest.Config) -> int:
    option: int | None = config.getoption("looplet_trials")
    value: str = config.getini("looplet_trials") if option is None else str(option)
    if not value:
        return 1
    if not value.isdecimal() or int(value) < 1:
        raise pytest.UsageError(f"--looplet-trials: {value!r} is no whole number from 1")
    return int(value)


def _concurrency(config: pytest.Config) -> tuple[int, dict[str, int]]:
    """`16` and `api.openai.com=4`: the option's word counts where the ini setting says something else."""
    general, by_host = 1, {}
    for rule in [
        *(config.getini("looplet_concurrency") or ()),
        *(config.getoption("looplet_concurrency") or ()),
    ]:
        host, equals, value = rule.rpartition("=")
        if not value.isdecimal() or int(value) < 1:
            raise pytest.UsageError(f"--looplet-concurrency={rule}: {value!r} is no whole number from 1")
        if equals:
            by_host[host.strip().lower()] = int(value)
        else:
            general = int(value)
    return general, by_host


def _provider_retries(config: pytest.Config) -> int:
    value: str = config.getini("looplet_provider_retries") or "1"
    if not value.isdecimal():
        raise pytest.UsageError(f"looplet_provider_retries: {value!r} is no whole number from 0")
    return int(value)


def _thresholds(config: pytest.Config) -> tuple[float | None, dict[str, float]]:
    general: float | None = None
    by_name: dict[str, float] = {}
    for rule in [*(config.getini("looplet_threshold") or ()), *(config.getoption("looplet_threshold") or ())]:
        name, equals, value = rule.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number <= 1:
            raise pytest.UsageError(f"--looplet-threshold={rule}: {value!r} is no number from 0 to 1")
        if equals:
            by_name[name.strip()] = number
        else:
            general = number
    return general, by_name


def _tolerances(config: pytest.Config) -> dict[str, float]:
    found = dict(TOLERANCES)
    for rule in [*(config.getini("looplet_tolerance") or ()), *(config.getoption("looplet_tolerance") or ())]:
        name, _, value = (part.strip() for part in rule.rpartition("="))
        if name:
            _choice("--looplet-tolerance", name, tuple(TOLERANCES))
        try:
            share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
        except ValueError:
            share = math.nan
        if not 0 <= share < math.inf:
            raise pytest.UsageError(f"--looplet-tolerance={rule}: give a share, such as tokens=20% or 0.2")
        found |= {name: share} if name else dict.fromkeys(TOLERANCES, share)
    return found


def _reports(config: pytest.Config) -> tuple[Path, ...]:
    paths = tuple(
        Path(config.invocation_params.dir, name) for name in config.getoption("looplet_report") or ()
    )
    for path in paths:
        if path.suffix not in REPORT_SUFFIXES:
            raise pytest.UsageError(
                f"--looplet-report={path.name}: write to a file that ends in {' or '.join(REPORT_SUFFIXES)}"
            )
    return paths


def _prices(config: pytest.Config) -> Pricing | None:
    value = config.getini("looplet_pricing")
    return read_pricing(value, config.rootpath) if value else None


def _budget(config: pytest.Config) -> float | None:
    budget: float | None = config.getoption("looplet_budget")
    if budget is None:
        return None
    if not 0 < budget < math.inf:
        raise pytest.UsageError(f"--looplet-budget={budget}: give US dollars, for example 0.50")
    if not config.getini("looplet_pricing"):
        raise pytest.UsageError(
            "--looplet-budget needs prices: set looplet_pricing in the ini file to a TOML file such as\n"
            '["gpt-4o-mini"]\ninput = 0.15\noutput = 0.60'
        )
    return budget


def _model(config: pytest.Config, name: str) -> str | None:
    value = _text(config, name)
    if value is None:
        return None
    provider, _, model = value.partition(":")
    if not (provider and model):
        raise pytest.UsageError(
            f"--looplet-{name}={value}: name it as provider:model, for example openai:gpt-4o-mini"
        )
    if provider not in PROVIDERS:
        raise pytest.UsageError(
            f"--looplet-{name}={value}: unknown provider {provider!r}; there are {', '.join(PROVIDERS)}"
        )
    return value
