"""The support agent broken in the five ways its README documents: the right evals turn red, and no other."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

AGENT = Path(__file__).parents[2] / "examples" / "support_agent"
GOLDEN = Path(__file__).parent / "golden" / "broken.txt"
RULE = """        .deny(
            "issue_refund",
            arg_matcher=lambda args: args["amount"] > LIMIT,
            reason=f"refunds over {LIMIT:.2f} are for a colleague: use escalate",
        )
"""
UNCHECKED = """        call("lookup_order", order_id="1234"),
        call("check_policy", reason="damaged"),
        call("issue_refund", order_id="1234", amount=40.0),
"""
GENEROUS = """        call("lookup_order", order_id="1234"),
        call("issue_refund", order_id="1234", amount=90.0),
"""
WAYS = {
    "the rule is gone": (("support_agent.py", RULE, ""), ("--looplet-match=sequence",)),
    "a tool loses an order": (("support_agent.py", '"1400": {', '"1401": {'), ()),
    "the prompt is another": (("support_agent.py", "Look an order up before", "Think before"), ()),
    "the agent may take two steps": (
        ("support_agent.py", "max_steps=8", "max_steps=2"),
        ("--looplet-match=sequence", "-o", "looplet_unused=ignore"),
    ),
    "the model pays unchecked, and too much": (("record.py", UNCHECKED, GENEROUS), ()),
}
"""What is edited (file, old, new) and the options of the session after it."""


def run(folder, *command):
    """Run *command* in *folder* with no key, no provider and no CI system in the environment."""
    foreign = ("OPENAI_", "ANTHROPIC_", "PYTEST_", "CI", "GITHUB_", "PYTHONDONTWRITEBYTECODE")
    env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=env, capture_output=True, encoding="utf-8", check=False
    )
    return done.returncode, done.stdout + done.stderr


def summary(folder, options):
    """The exit code, what is red with who is at fault, and what the baseline says, in lines."""
    ours = ("-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:benchmark")
    code, _ = run(folder, "-m", "pytest", "evals", *ours, *options, "--looplet-report=r.json")
    content = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    red = {}
    for row in content["evals"]:
        if row["standing"] in ("failed", "error"):
            red.setdefault((row["eval"], row["standing"], row["blame"]), []).append(row["case"])
    lines = [
        f"  {name}: {standing} ({blame}) {', '.join(cases)}" for (name, standing, blame), cases in red.items()
    ]
    return [f"  exit {code}", *lines, *(f"  {problem}" for problem in content["problems"])]


def broken(tmp_path, way):
    (name, old, new), options = WAYS[way]
    folder = Path(shutil.copytree(AGENT, tmp_path / "agent", ignore=shutil.ignore_patterns("__pycache__")))
    text = (folder / name).read_text(encoding="utf-8")
    assert text.count(old) == 1
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    if name == "record.py":
        run(folder, "record.py", "-q", "-k", "broken-teapot and eval_finishes")
    return summary(folder, options)


def golden():
    """The reviewed summary of each way."""
    blocks = GOLDEN.read_text(encoding="utf-8").strip().split("\n\n")
    return {block.splitlines()[0]: block.splitlines()[1:] for block in blocks}


@pytest.mark.parametrize("way", WAYS)
def test_breaking_the_agent_turns_the_right_items_red(way, tmp_path):
    assert broken(tmp_path, way) == golden()[way]


def test_the_readme_documents_each_way():
    text = (AGENT / "README.md").read_text(encoding="utf-8")
    for way in WAYS:
        assert way in text
