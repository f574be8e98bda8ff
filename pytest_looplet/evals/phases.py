"""The phases of pytest for an item that nobody sees, and whether an item that they see is skipped."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

skipping_key = pytest.StashKey[Any]()


def is_skipped(item: pytest.Item) -> bool:
    """Whether the eval's own marks skip it: then its agent need not run."""
    asked = item.config.stash.get(skipping_key, None)
    if asked is None:
        manager = item.config.pluginmanager
        others = [plugin for plugin in manager.get_plugins() if manager.get_name(plugin) != "skipping"]
        asked = item.config.stash[skipping_key] = manager.subset_hook_caller("pytest_runtest_setup", others)
    call = pytest.CallInfo.from_call(functools.partial(asked, item=item), when="setup")
    return call.excinfo is not None


def phases(
    item: pytest.Item, first: pytest.Item
) -> Iterator[tuple[pytest.CallInfo[None], pytest.TestReport]]:
    """Set *item* up, run it and tear it down through pytest's hooks; without the middle if set-up failed."""
    is_set_up = True
    for when in ("setup", "call", "teardown"):
        if when == "call" and not is_set_up:
            continue
        more = {"nextitem": first} if when == "teardown" else {}
        hook = getattr(item.ihook, f"pytest_runtest_{when}")
        call = pytest.CallInfo.from_call(
            functools.partial(hook, item=item, **more),
            when=when,
            reraise=(pytest.exit.Exception, KeyboardInterrupt),
        )
        report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
        if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
            item.ihook.pytest_exception_interact(node=item, call=call, report=report)
        is_set_up = is_set_up and call.excinfo is None
        yield call, report
