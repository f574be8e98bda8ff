"""The command that starts a server: an argv list, never a shell, with an environment of its own."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence

from looplet.errors import ConfigError

PASSED_ON = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
"""Variables of our environment that a server gets; keys and tokens are not among them."""

# What a shell would act on: quoted parts first, so that they are passed over.
_PARTS = re.compile(
    r"""'[^']*' | "(?:[^"\\$`]|\\[^$`\n])*" | \\[^\n]
    | (?P<active>[|&;<>()$`*?\[\]{}\n\r!"'\\] | (?<!\S)\# | (?<![^\s=:])~)""",
    re.X | re.S,
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def argv_of(command: str | Sequence[str]) -> list[str]:
    """The words of *command*.

    Args:
        command: A list of words as it is, or a text in a shell's quoting.

    Raises:
        ConfigError: There are no words, the quoting is broken, or a shell would expand or split the text.
    """
    if not isinstance(command, str):
        argv = list(command) if isinstance(command, Sequence) else []
        if not any(argv[:1]) or not all(isinstance(word, str) and "\0" not in word for word in argv):
            raise ConfigError(
                f"MCP command {command!r}: give a list of words, such as ['python', 'server.py']"
            )
        return argv
    active = next((found["active"] for found in _PARTS.finditer(command) if found["active"]), None)
    if active is not None or "\0" in command:
        raise ConfigError(
            f"MCP command {command!r} has {active or chr(0)!r}, which only a shell understands, and no shell "
            "is used; quote it, or give a list of words"
        )
    argv = shlex.split(command)
    if not argv:
        raise ConfigError("the MCP command is empty; give one such as 'python server.py'")
    if _ASSIGNMENT.match(argv[0]):
        raise ConfigError(f"MCP command {command!r} sets a variable; pass env={{...}} instead")
    return argv


def variables(env: Mapping[str, str]) -> dict[str, str]:
    """A copy of *env*.

    Raises:
        ConfigError: A name or a value is none that an environment can hold; the value is not told.
    """
    if not isinstance(env, Mapping):
        raise ConfigError(f"MCPToolAdapter(env={type(env).__name__}): give a dict of names and texts")
    for name, value in env.items():
        if not isinstance(name, str) or not name or set(name) & {"=", "\0"}:
            raise ConfigError(f"MCPToolAdapter(env=...): {name!r} cannot be the name of a variable")
        if not isinstance(value, str) or "\0" in value:
            raise ConfigError(f"MCPToolAdapter(env=...): the value of {name} must be a text without NUL")
    return dict(env)


def environment(more: Mapping[str, str] | None) -> dict[str, str]:
    """The environment of a server: the few variables that programs need, and *more*."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | dict(more or {})
