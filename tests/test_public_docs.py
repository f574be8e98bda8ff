"""Help in the product: every public name, option, setting, marker and command says what it is."""

import inspect
import re
import subprocess
import sys

import pytest

import looplet
import pytest_looplet
from looplet.cli import commands as standard_commands
from pytest_looplet.cli import commands
from pytest_looplet.plugin import OPTIONS, SETTINGS

PUBLIC = [
    pytest.param(getattr(package, name), id=f"{package.__name__}.{name}")
    for package in (looplet, pytest_looplet)
    for name in package.__all__
    if name != "__version__"
]


@pytest.mark.parametrize("value", PUBLIC)
def test_a_public_name_says_what_it_is(value):
    text = inspect.getdoc(value) or ""
    assert text
    assert not text.startswith(f"{getattr(value, '__name__', '')}("), "the signature that dataclasses write"
    assert text.splitlines()[0].rstrip("`")[-1] in ".:", "the first line is a sentence"


@pytest.mark.parametrize("value", [p for p in PUBLIC if inspect.isclass(p.values[0])])
def test_so_do_its_public_methods(value):
    mute = [
        name
        for name, member in vars(value).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
        if not inspect.getdoc(member)
    ]
    assert mute == []


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, *_, text in (*OPTIONS, *SETTINGS)])
def test_an_option_or_setting_has_a_short_help(name, text):
    assert 10 < len(text) < 110
    assert text[0].islower() or not text[0].isalpha() or text.startswith("US")
    assert not text.endswith(".")


@pytest.fixture
def alone(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return pytester


def test_the_help_of_pytest_names_every_option_below_one_heading(alone):
    text = alone.runpytest_inprocess("-p", "pytest_looplet.plugin", "--help").stdout.str()
    ours = text.split("agents: record, replay, judge:")[1].split("\n\n")[0]
    assert re.findall(r"^  --looplet-([a-z-]+)", ours, re.MULTILINE) == [name for name, *_ in OPTIONS]


def test_a_marker_and_its_arguments_are_listed(alone):
    text = alone.runpytest_inprocess("-p", "pytest_looplet.plugin", "--markers").stdout.str()
    assert re.search(r"^@pytest\.mark\.looplet\(cassette=.*\): .*\.$", text, re.MULTILINE)


@pytest.mark.parametrize("known", [standard_commands, commands], ids=["python -m looplet", "looplet"])
def test_commands_have_one_line_each(known):
    for command in known():
        assert 10 < len(command.help) < 90
        assert command.help[-1] != "."


@pytest.mark.slow
@pytest.mark.parametrize("module", ["looplet", "looplet.examples.hello_world", "looplet.testing.provider"])
def test_help_of_a_program_is_read_at_80_columns(module, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("usage: ")
    assert max(map(len, done.stdout.splitlines())) <= 80
