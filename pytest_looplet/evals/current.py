"""What an eval or an agent is running for, as the fixtures `looplet_case` and `looplet_trial` tell it."""

from __future__ import annotations

from typing import Any

import pytest

from looplet.evals.case import AgentCase
from pytest_looplet.evals.agent_run import AgentRun
from pytest_looplet.evals.cell import Cell, cell_of


def case(node: Any) -> AgentCase:
    """The case; for an agent, without what is expected."""
    cell = _cell(node, "looplet_case")
    return cell.case.for_agent() if isinstance(node, AgentRun) else cell.case


def trial(node: Any) -> int:
    """Which repetition, from 1."""
    return _cell(node, "looplet_trial").trial


def _cell(node: Any, fixture: str) -> Cell:
    cell = node.cell if isinstance(node, AgentRun) else cell_of(node)
    if cell is None:
        pytest.fail(f"{fixture} has a value in evals and in looplet_agent only", pytrace=False)
    return cell
