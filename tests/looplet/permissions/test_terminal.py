"""The question at the terminal, over a real one."""

import io
import os
import pty
import sys
import threading

import pytest

from looplet import PermissionEngine, ToolCall
from looplet.permissions import TerminalPrompt

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals on Windows")


class Terminal:
    """A person's end of a terminal."""

    def __init__(self):
        self.mine, other = pty.openpty()
        self.source = os.fdopen(other, "r")
        self.shown = io.StringIO()

    def ask(self, *, types, timeout_s=5.0, **args):
        prompt = TerminalPrompt(timeout_s, source=self.source, to=self.shown)
        rules = PermissionEngine(ask_handler=prompt).ask("bash", reason="runs\x1b[2K commands")
        # What is typed comes after the question is there, as a person types it.
        timer = threading.Timer(0.1, lambda: os.write(self.mine, types)) if types else None
        if timer:
            timer.start()
        outcome = rules.evaluate(ToolCall("bash", args))
        if timer:
            timer.join()
        return outcome


@pytest.fixture
def terminal():
    made = Terminal()
    yield made
    made.source.close()
    os.close(made.mine)


ANSWERS = {"y": (b"y\n", True), "yes": (b" YES \n", True), "no": (b"n\n", False), "nothing": (b"\n", False)}
ANSWERS |= {"another word": (b"yep\n", False), "the end of input": (b"\x04", False)}


@pytest.mark.parametrize(("types", "allowed"), ANSWERS.values(), ids=ANSWERS)
def test_only_a_yes_allows(terminal, types, allowed):
    assert terminal.ask(types=types, command="ls").allowed == allowed


def test_PE_10_the_exact_call_is_shown_escaped(terminal):
    terminal.ask(types=b"n\n", command="rm \x1b[31m\u202ex\n::error::")
    shown = terminal.shown.getvalue()
    assert shown.startswith('bash {"command": "rm \\u001b[31m\\u202ex\\n::error::"}\nAllow this call (runs')
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_PE_02_no_answer_in_time_denies(terminal):
    outcome = terminal.ask(types=b"", timeout_s=0.1, command="ls")
    assert outcome.denied
    assert terminal.shown.getvalue().endswith("no answer, denied\n")


def test_what_was_typed_before_is_no_answer(terminal):
    os.write(terminal.mine, b"y\n")
    assert terminal.ask(types=b"", timeout_s=0.2, command="ls").denied


def test_a_call_that_is_too_long_to_show_is_denied_unasked(terminal):
    assert terminal.ask(types=b"", command="x" * 5000).denied
    assert terminal.shown.getvalue() == ""


def test_without_a_terminal_it_denies():
    prompt = TerminalPrompt(source=io.StringIO("y\n"), to=io.StringIO())
    assert PermissionEngine(ask_handler=prompt).ask("bash").evaluate(ToolCall("bash")).denied
