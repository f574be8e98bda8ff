"""Inputs nobody thought of: nothing raises, nothing denied runs, nothing changes the call."""

import copy
import shlex
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from looplet import PermissionDecision, PermissionEngine, PermissionHook, ToolCall
from looplet.permissions import (
    Unsure,
    command_matcher,
    command_within,
    equals,
    one_of,
    path_within,
    regex,
    url_host,
)
from looplet.permissions.shell import commands_of
from looplet.testing import call
from tests.looplet.permissions.test_corpus import Recorder, async_drive, sync_drive

pytestmark = pytest.mark.slow

BASH = shutil.which("bash")

MATCHERS = {
    "command": command_matcher(["git status*", "ls *"], arg="x"),
    "command_within": command_within("cat *", "/tmp/nowhere-at-all", arg="x"),
    "path_within": path_within("/tmp/nowhere-at-all", arg="x"),
    "url_host": url_host("example.com", "*.api.test", arg="x"),
    "regex": regex(r"[a-z]*-\d+", arg="x"),
    "equals": equals("x", arg="x"),
    "one_of": one_of("x", 1, None, arg="x"),
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
WORDS = "git status ls rm cat && || ; | & > < # * ? [ ] { } ~ - = / .. ${ $' \\x72 ! http:// @ : % x 2> <<EOF"
pieces = st.sampled_from(
    [
        *WORDS.split(),
        "example.com",
        *" '\"\\$`)\n\0\u202e",
        "  ",
        "$(",
        "A=1 ",
        "bash -c ",
        "sudo ",
        "env ",
        "g\u0456t",
    ]
)
texts = st.lists(pieces, max_size=14).map("".join) | st.text(max_size=40)


@pytest.mark.parametrize("name", MATCHERS)
@given(value=json_values | texts)
@settings(deadline=None, max_examples=150)
def test_no_input_makes_a_matcher_or_the_engine_raise(name, value):
    matcher = MATCHERS[name]
    try:
        assert matcher({"x": value}) in (True, False)
        sure = True
    except Unsure:
        sure = False
    asked = ToolCall("t", {"x": value})
    before = copy.deepcopy(asked)
    allowed = PermissionEngine().allow("t", arg_matcher=matcher).evaluate(asked).allowed
    denied = (
        PermissionEngine(default=PermissionDecision.ALLOW)
        .deny("t", arg_matcher=matcher)
        .evaluate(asked)
        .denied
    )
    assert repr(asked) == repr(before)
    # A doubt is denied by both, so that they never leave a call to whoever wrote the looser one.
    assert sure or (denied and not allowed)
    assert not allowed or denied


@given(command=texts)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@example(command="git status; rm x")
@example(command="git status")
def test_nothing_denied_runs_in_either_loop(command):
    for drive in (sync_drive, async_drive):
        rules = PermissionEngine().allow("bash", arg_matcher=MATCHERS_FOR_BASH)
        tools = Recorder()
        drive(
            [call("bash", command=command), call("done", answer="ok")],
            tools.registry,
            [PermissionHook(rules)],
        )
        verdicts = [record.verdict for record in rules.audit if record.tool == "bash"]
        ran = [kwargs["command"] for name, kwargs in tools.ran if name == "bash"]
        assert ran == ([command] if verdicts == ["allow"] else [])


MATCHERS_FOR_BASH = command_matcher(["git status*", "ls *"])


@given(
    words=st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"])), min_size=1, max_size=5
    )
)
def test_what_is_quoted_is_read_back(words):
    words = ["echo", *words]
    try:
        [command] = commands_of(shlex.join(words))
    except Unsure:
        return
    assert [word.text for word in command.words] == words
    assert not command.oddity()


@pytest.mark.skipif(BASH is None, reason="there is no bash to compare with")
@pytest.mark.slow
@given(text=st.lists(pieces.filter(lambda p: "\x00" not in p), max_size=10).map("".join))
@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
def test_bash_reads_what_we_read(text):
    """Bash gets a program `show` that prints its arguments; ours must be the same words."""
    try:
        commands = commands_of("show " + text)
    except Unsure:
        return
    words = [word for command in commands for word in command.words]
    plain = len(commands) == 1 and not commands[0].oddity()
    if not plain or any(word.glob or word.home for word in words):
        return
    script = 'show() { printf "%s\\0" "$@"; }\nshow ' + text
    # A restricted shell without programs: whatever our reader gets wrong, nothing can be run or written.
    shell = [BASH, "--norc", "--noprofile", "-r", "-c", script]
    done = subprocess.run(shell, capture_output=True, timeout=10, env={"PATH": "/nowhere"}, cwd="/")
    assert done.stderr == b""
    given_words = [word.text for word in commands[0].words[1:]]
    assert done.stdout.decode("utf-8", "surrogateescape") == "".join(w + "\0" for w in given_words or [""])
