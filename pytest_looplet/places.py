"""Where the cassette of a test, or of a fixture, is kept."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pytest_looplet.keys import SUFFIX
from pytest_looplet.marker import Marked
from pytest_looplet.names import safe_name
from pytest_looplet.settings import Settings

OF_A_FIXTURE = "fixture."
"""How the names of cassettes begin that belong to a fixture of wider scope."""


def cassette_path(node: pytest.Item, settings: Settings, wishes: Marked) -> Path:
    """The file of *node*: one for each test id, in a folder named after the test file."""
    folder = node.path.parent / settings.cassette_dir
    if wishes.cassette:
        return folder / wishes.cassette
    names = own_id(node).split("::")[1:] or [node.name]
    return folder / node.path.stem / f"{safe_name(names)}{SUFFIX}"


def fixture_cassette_path(request: pytest.FixtureRequest, name: str, file: Path, settings: Settings) -> Path:
    """The file of the fixture *name*, which is defined in *file* and is being set up for its whole scope.

    Beside the test file where the scope lies within one; else beside the file that defines the fixture.
    """
    inside = request.scope in ("module", "class")
    home: Path = request.path if inside else file
    classes = request.node.nodeid.split("::")[1:] if inside else []
    parameter = f"-{request.param_index}" if hasattr(request, "param") else ""  # type: ignore[attr-defined]
    own = safe_name([f"{OF_A_FIXTURE}{name}", *classes]) + parameter
    return home.parent / settings.cassette_dir / home.stem / f"{own}{SUFFIX}"


def rerecord_command(node: pytest.Item) -> str:
    """The command that records the cassette of *node* again."""
    asked_by: str = getattr(node, "asked_by", None) or own_id(node)
    return f"pytest --looplet-record {shlex.quote(asked_by)}"


def own_id(node: pytest.Item) -> str:
    """The id of *node* without the `@group` that `--dist=loadgroup` of xdist puts behind it."""
    if not node.config.getoption("loadgroup", False):
        return node.nodeid
    marks = node.iter_markers("xdist_group")
    groups = {str(mark.args[0] if mark.args else mark.kwargs.get("name", "default")) for mark in marks}
    # A parameter may hold an @ too, so exactly what xdist added is taken away.
    return node.nodeid.removesuffix(f"@{'_'.join(sorted(groups))}") if groups else node.nodeid
