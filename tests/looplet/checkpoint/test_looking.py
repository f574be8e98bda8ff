"""`looplet checkpoints show`: what a journal says of its run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from looplet import LoopConfig, run_loop, tool
from looplet.cli import main
from looplet.testing import ScriptedChatBackend, call


@tool
def pay(amount: int) -> str:
    """Pay."""
    raise KeyboardInterrupt


def test_a_call_is_in_doubt_until_a_resume_settles_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def facts() -> dict[str, Any]:
        assert main(["checkpoints", "show", str(tmp_path), "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    config = LoopConfig(checkpoint_dir=str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        run_loop(ScriptedChatBackend(call("pay", amount=5)), "Pay", [pay], config=config)
    assert facts()["in doubt"] == "pay"
    run_loop(ScriptedChatBackend("Not paid."), "Pay", [pay], config=config)
    assert (facts()["in doubt"], facts()["stopped"]) == ("nothing", "done")
