"""What the plugin offers: options, ini settings, a marker, fixtures, hooks. What they do is elsewhere.

pytest loads this module in every run of everyone who has it installed, so it imports nothing but pytest;
the rooms behind it open when a fixture, an option or a file of evals is used.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_looplet import keys
from pytest_looplet.fixtures import (
    looplet_agent as looplet_agent,
    looplet_await as looplet_await,
    looplet_backend as looplet_backend,
    looplet_capture as looplet_capture,
    looplet_case as looplet_case,
    looplet_cassette as looplet_cassette,
    looplet_clock as looplet_clock,
    looplet_human as looplet_human,
    looplet_judge as looplet_judge,
    looplet_model_of_item as looplet_model_of_item,
    looplet_permissions as looplet_permissions,
    looplet_run as looplet_run,
    looplet_script as looplet_script,
    looplet_tools as looplet_tools,
    looplet_trial as looplet_trial,
    looplet_workspace as looplet_workspace,
)

if TYPE_CHECKING:
    from pytest_looplet.evals.module import EvalModule

OPTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("record", {"action": "store_true"}, "call the model and write fresh cassettes (--looplet-mode=rewrite)"),
    ("mode", {"metavar": "MODE"}, "when to call the model: replay (default), rewrite, missing or tail"),
    ("live", {"action": "store_true"}, "no cassettes: call the model, write nothing"),
    (
        "match",
        {"metavar": "HOW"},
        "strict (default): requests equal the recorded; sequence: replies in order",
    ),
    ("drift", {"action": "append", "metavar": "CLASS=fail|warn"}, "what a class of drift does; repeatable"),
    ("cassette-dir", {"metavar": "DIR"}, "folder of cassettes, next to the test file (default: cassettes)"),
    ("runs", {"metavar": "DIR"}, "grade the saved runs in DIR instead of running the agent"),
    ("save-runs", {"metavar": "DIR"}, "write a run directory for every trajectory"),
    ("trials", {"metavar": "N", "type": int}, "run every case of the evals N times"),
    (
        "concurrency",
        {"action": "append", "metavar": "[HOST=]N"},
        "cases that run at once when live or recording, and calls at once to one provider; repeatable",
    ),
    (
        "threshold",
        {"action": "append", "metavar": "[NAME=]X"},
        "least score, 0 to 1, of evals without their own",
    ),
    ("require-all", {"action": "store_true"}, "a required eval that was left out is red: for CI"),
    ("baseline", {"metavar": "FILE"}, "compare with an accepted report (.json); what got worse is red"),
    (
        "accept",
        {"action": "store_true"},
        "take today's runs and scores as the new expectation; refused when CI is set",
    ),
    (
        "tolerance",
        {"action": "append", "metavar": "[NAME=]X"},
        "share by which steps, tokens or cost_usd of a case may differ from the baseline (default 25%%)",
    ),
    ("report", {"action": "append", "metavar": "FILE"}, "write a report (.json, .html or .md); repeatable"),
    ("model", {"metavar": "PROVIDER:NAME"}, "the model under test, for example openai:gpt-4o-mini"),
    ("judge", {"metavar": "PROVIDER:NAME"}, "the model that grades"),
    ("budget", {"metavar": "USD", "type": float}, "stop before a model call that could cost more in all"),
)

SETTINGS: tuple[tuple[str, str, str], ...] = (
    ("looplet_mode", "string", "as --looplet-mode"),
    ("looplet_match", "string", "as --looplet-match"),
    ("looplet_drift", "linelist", "as --looplet-drift, one a line"),
    (
        "looplet_unused",
        "string",
        "recorded calls that a replay did not make: error (default), warn or ignore",
    ),
    ("looplet_cassette_max_age", "string", "days after which a cassette is stale"),
    ("looplet_stale", "string", "what a stale cassette does to the session: warn (default), ignore or fail"),
    ("looplet_orphaned", "string", "the same for a cassette that belongs to no test"),
    ("looplet_allow_hosts", "args", "hosts that a replay may connect to"),
    ("looplet_cassette_dir", "string", "as --looplet-cassette-dir"),
    ("looplet_eval_paths", "args", "globs of eval_*.py files to collect beside those in folders named evals"),
    ("looplet_runs", "string", "as --looplet-runs, relative to the root folder"),
    ("looplet_trials", "string", "as --looplet-trials"),
    ("looplet_concurrency", "args", "as --looplet-concurrency"),
    (
        "looplet_provider_retries",
        "string",
        "how often a run or a judged eval is repeated that died of its provider (default: 1)",
    ),
    ("looplet_threshold", "linelist", "as --looplet-threshold, one a line"),
    ("looplet_baseline", "string", "as --looplet-baseline, relative to the root folder"),
    ("looplet_tolerance", "linelist", "as --looplet-tolerance, one a line"),
    ("looplet_beyond_tolerance", "string", "a figure that rose beyond it: report (default) or fail"),
    ("looplet_model", "string", "as --looplet-model"),
    ("looplet_judge", "string", "as --looplet-judge"),
    ("looplet_pricing", "string", "what models cost: a TOML file, or the same as text"),
    ("looplet_base_url", "string", "base URL of an OpenAI-compatible provider"),
)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Offer our own hooks."""
    _drop_unloaded_rooms()
    from pytest_looplet import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def _drop_unloaded_rooms() -> None:
    """Make our packages forget modules that are no longer loaded, so that they are loaded again.

    A session inside a session (pytester) takes what it loaded out of `sys.modules`, and leaves it standing in
    the packages, where `from package import module` would find it beside a second copy.
    """
    for name, package in list(sys.modules.items()):
        if name.partition(".")[0] in ("looplet", "pytest_looplet"):
            for attribute, value in list(vars(package).items()):
                room = f"{name}.{attribute}"
                is_room = isinstance(value, ModuleType) and value.__name__ == room
                if is_room and room not in sys.modules:
                    delattr(package, attribute)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options and ini settings."""
    group = parser.getgroup("looplet", "agents: record, replay, judge")
    for name, how, text in OPTIONS:
        group.addoption(f"--looplet-{name}", help=text, **how)
    for name, kind, text in SETTINGS:
        parser.addini(name, text, type=kind, default=None)  # type: ignore[arg-type]


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker; read the settings if there are any."""
    config.addinivalue_line(
        "markers",
        "looplet(cassette=None, match=None, live=None, drift=None, model=None): how a test meets its model.",
    )
    if _is_used(config):
        from pytest_looplet.ledger import start

        start(config)
    if config.get_verbosity(pytest.Config.VERBOSITY_ASSERTIONS) > 1:
        from pytest_looplet.screen import show_all

        config.add_cleanup(show_all())


def _is_used(config: pytest.Config) -> bool:
    """Whether an option or an ini setting of ours is present."""
    given = [vars(config.option).get(f"looplet_{name.replace('-', '_')}") for name, _, _ in OPTIONS]
    if any(value is not None and value is not False for value in given):  # 0 is a value, to be refused
        return True
    return any(config.getini(name) for name, _, _ in SETTINGS)


def _cassette_dir(config: pytest.Config) -> str:
    return config.getoption("looplet_cassette_dir") or config.getini("looplet_cassette_dir") or "cassettes"


@pytest.hookimpl(tryfirst=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> None:
    """Let pytest see `eval_*.py` files that are ours; lend keys to a test file that has cassettes."""
    if file_path.suffix == ".py" and keys.has_cassettes(
        file_path, _cassette_dir(parent.config), parent.config
    ):
        from pytest_looplet.ledger import start

        start(parent.config)
    if file_path.name.startswith("eval_") and file_path.suffix == ".py":
        from pytest_looplet.evals.where import admit

        admit(file_path, parent)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> EvalModule | pytest.Module | None:
    """Collect an `eval_*.py` file as evals."""
    if not module_path.name.startswith("eval_"):
        return None
    from pytest_looplet.evals.where import users_patterns_key

    if users_patterns_key not in parent.config.stash:
        return None
    from pytest_looplet.evals.collect import make_module

    return make_module(module_path, parent)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Check the marker of a test."""
    if next(metafunc.definition.iter_markers("looplet"), None) is not None:
        from pytest_looplet.marker import check

        check(metafunc)
    if any(name.startswith("looplet_") for name in metafunc.fixturenames):
        from pytest_looplet.ledger import start

        start(metafunc.config)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show where two trajectories part, or where one leaves a pattern."""
    if "looplet.trajectory.record" not in sys.modules:  # then neither is a trajectory
        return None
    from pytest_looplet.compare import explain_comparison

    return explain_comparison(op, left, right)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """In the controller of xdist: judge the suites when all workers are done."""
    result = yield
    if session.config.getoption("dist", "no") != "no" and not hasattr(session.config, "workerinput"):
        from pytest_looplet.evals.plan import plan_of

        if any(planned.gate for planned in plan_of(session.config).evals.values()):
            from pytest_looplet.evals.gates import report_gates

            report_gates(session.config)
    return result


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Under xdist: tell a worker where results are shared, and listen to what workers report."""
    from pytest_looplet.ledger import share_with

    share_with(node)

    if node.config.getoption("looplet_save_runs"):
        from pytest_looplet.cut_short import note_start

        note_start(node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched: Any) -> None:
    """Under xdist: tell what a test had done when its process died."""
    config: pytest.Config = sched.config
    if config.getoption("looplet_save_runs"):
        from pytest_looplet.cut_short import tell_of_dead

        tell_of_dead(config, crashitem, report)
