"""A model that tries to leave its workspace in every way we know: nothing outside changes, all is logged."""

import json
import shutil
import subprocess
import time

import pytest

from looplet.examples.coding_agent import run_coding_agent
from looplet.permissions.audit import shown
from looplet.presets import workspace_permissions
from looplet.testing import ScriptedChatBackend, call
from looplet.workspace import confinement
from tests.looplet.examples.hostile import HELD, LATE, NOT_JUDGED, SECRET, WAYS, build, filled, state

pytestmark = pytest.mark.slow


class Attempt:
    """One way, tried: what became of the outside, what the model read, what was decided."""

    def __init__(self, base, name, person=None):
        self.ws, self.out = build(base)
        if "git" in name.lower() and shutil.which("git"):
            subprocess.run(["git", "init", "-q", "."], cwd=self.ws, check=True)
        self.wanted = [(tool, filled(args, self.out)) for said in WAYS[name] for tool, args in said.wanted]
        self.before = state(self.out)
        self.rules = workspace_permissions(self.ws, ask_handler=person)
        script = [call(tool, **args) for tool, args in self.wanted]
        self.model = ScriptedChatBackend(*script, "That is all.")
        self.steps = run_coding_agent(
            self.model, "leave", max_steps=len(script), workspace=self.ws, permissions=self.rules
        )["steps"]
        if name in LATE:
            time.sleep(0.6)

    def check_nothing_changed(self):
        assert state(self.out) == self.before

    def check_all_is_on_record(self):
        recorded = [(record.tool, record.args) for record in self.rules.audit]
        assert recorded == [(tool, shown(args)) for tool, args in self.wanted]


def test_there_are_at_least_40_ways():
    assert len(WAYS) >= 40
    assert set(WAYS) >= HELD | NOT_JUDGED | LATE


@pytest.mark.parametrize("name", WAYS)
def test_nothing_outside_changes_nor_is_read(tmp_path, name):
    attempt = Attempt(tmp_path, name)
    attempt.check_nothing_changed()
    assert not any(SECRET in json.dumps(step["result"]) for step in attempt.steps)
    if name in NOT_JUDGED:
        assert [step["result"].get("error_kind") for step in attempt.steps] == ["validation"]
        return
    attempt.check_all_is_on_record()
    # Where the system cannot hold commands to a folder, what runs code is denied as well.
    denied = any(record.verdict == "deny" for record in attempt.rules.audit)
    assert denied == (name not in HELD) or not confinement()


def says_yes(asked, rule):
    return "allow"


@pytest.mark.skipif(confinement() != "mounts", reason="without user namespaces a person's yes is a yes")
@pytest.mark.parametrize("name", [name for name in WAYS if name not in NOT_JUDGED | HELD])
def test_nothing_outside_changes_if_a_person_says_yes_to_everything(tmp_path, name):
    attempt = Attempt(tmp_path, name, person=says_yes)
    attempt.check_nothing_changed()
    attempt.check_all_is_on_record()
