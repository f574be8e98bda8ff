"""Tools that work in one folder: bash, read, write, edit, glob, grep, think, done.

    tools = workspace_tools("~/project")
    hooks = [PermissionHook(PermissionEngine.from_file("rules.toml"))]

Files are reached from the open folder, links checked one by one, so that no path leads outside.
`bash` runs whatever it is given, in that folder and without our secrets. On Linux the system holds it to the
folder: it can read what you can and use the network, and change nothing elsewhere. Put a permission engine
before it all the same, such as that of `looplet.presets`, or leave it out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from looplet.errors import ConfigError
from looplet.tools import BaseToolRegistry, tool, tools_from
from looplet.tools.registry import register_think_tool
from looplet.types import ToolContext
from looplet.workspace import files, search
from looplet.workspace.place import Root
from looplet.workspace.refusal import Refused
from looplet.workspace.running import confined, confinement, environment, run, temporary_folder

__all__ = ["Refused", "Workspace", "confinement", "workspace_tools"]

BASH_S = 120.0
"""Seconds that a command may take."""


def _told(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of *work*; what is refused becomes a result that the model can act on."""
    try:
        return work()
    except Refused as refused:
        return dict(refused.to_dict())
    except UnicodeEncodeError:
        return dict(Refused("half a character, which no path and no text can hold", "leave it out").to_dict())


class Workspace:
    """A folder and what may be done in it. Each method is the body of the tool of its name.

    Args:
        root: An existing folder.
        timeout_s: Seconds that a command may take.
        env: Variables that commands get besides the few that are passed on.
        confine: Whether the system holds commands to the folder: None where it can, True always, False never.

    Raises:
        ConfigError: *root* is no folder, or *confine* is True and this system cannot.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        timeout_s: float = BASH_S,
        env: Mapping[str, str] | None = None,
        confine: bool | None = None,
    ) -> None:
        if confine and not confinement():
            raise ConfigError("confine=True: this system cannot hold commands to a folder (Linux 6.2 can)")
        self.root = Root(os.path.expanduser(root))
        self.is_confined = confine is not False
        self.timeout_s = timeout_s
        self.env = dict(env or {})

    def bash(self, command: str, ctx: ToolContext | None = None) -> dict[str, Any]:
        """Run a shell command in the workspace.

        Args:
            command: Text for bash.
        """
        token = ctx.cancel_token if ctx is not None else None
        return _told(lambda: self._bash(command, lambda: token is not None and token.is_cancelled))

    def _bash(self, command: str, cancelled: Callable[[], bool]) -> dict[str, Any]:
        if "\0" in command:
            raise Refused("the command holds a NUL", "leave it out")
        shell = ["bash", "--noprofile", "--norc", "-c", command]
        try:
            with temporary_folder() as temporary:
                if self.is_confined:
                    shell = confined(shell, [self.root.path, temporary])
                env = environment(self.root.path, {"TMPDIR": temporary, **self.env})
                ended = run(shell, cwd=self.root.path, env=env, timeout_s=self.timeout_s, cancelled=cancelled)
        except (OSError, ValueError) as problem:
            raise Refused(f"the command cannot be started: {problem}"[:300], "make it shorter") from None
        outputs = {"stdout": ended.stdout, "stderr": ended.stderr}
        if ended.why_killed:
            remedy = "run something shorter, or in parts"
            return {"error": f"the command was {ended.why_killed}", "remediation": remedy, **outputs}
        step = "go on" if ended.exit_code == 0 else "read stderr, mend the cause, run it again"
        return {**outputs, "exit_code": ended.exit_code, "next_step": step}

    def read(self, file_path: str, offset: int = 1, limit: int = files.READ_LINES) -> dict[str, Any]:
        """Show lines of a text file, numbered.

        Args:
            file_path: The file, from the workspace.
            offset: First line to show, from 1.
            limit: Most lines to show.
        """
        return _told(lambda: files.read(self.root, file_path, offset, limit))

    def write(self, file_path: str, content: str) -> dict[str, Any]:
        """Write a file, replacing what was in it.

        Args:
            file_path: The file, from the workspace; missing folders are made.
            content: All of the new content.
        """
        return _told(lambda: files.write(self.root, file_path, content))

    def edit(self, file_path: str, old_string: str, new_string: str) -> dict[str, Any]:
        """Replace a text that stands in a file exactly once.

        Args:
            file_path: The file, from the workspace.
            old_string: The text to replace, with enough around it to be found once.
            new_string: What to put there.
        """
        return _told(lambda: files.edit(self.root, file_path, old_string, new_string))

    def glob(self, pattern: str, path: str = ".") -> dict[str, Any]:
        """List files whose path matches a pattern.

        Args:
            pattern: Such as src/**/*.py.
            path: Folder to start in.
        """
        return _told(lambda: search.glob(self.root, pattern, path))

    def grep(self, pattern: str, path: str = ".", include: str = "") -> dict[str, Any]:
        """Find lines that match an extended regular expression.

        Args:
            pattern: The expression.
            path: File or folder to search.
            include: Only files whose name matches, such as *.py.
        """
        return _told(lambda: search.grep(self.root, pattern, path, include))


def done(summary: str) -> dict[str, Any]:
    """Say that the task is finished.

    Args:
        summary: What was done, in a few sentences.
    """
    return {"summary": summary}


def workspace_tools(
    root: str | os.PathLike[str],
    *,
    timeout_s: float = BASH_S,
    env: Mapping[str, str] | None = None,
    confine: bool | None = None,
) -> BaseToolRegistry:
    """The eight tools, for one folder.

    Args:
        root: An existing folder.
        timeout_s: Seconds that a bash command may take.
        env: Variables that commands get; provider keys and the like are never passed on by themselves.
        confine: Whether the system holds commands to the folder: None where it can, True always, False never.

    Raises:
        ConfigError: *root* is no folder, or the system cannot confine paths, or commands where it must.
    """
    space = Workspace(root, timeout_s=timeout_s, env=env, confine=confine)
    made = tools_from(
        [
            tool(space.bash),
            tool(idempotent=True, concurrent_safe=True)(space.read),
            tool(idempotent=True)(space.write),
            tool(space.edit),
            tool(idempotent=True, concurrent_safe=True)(space.glob),
            tool(idempotent=True, concurrent_safe=True)(space.grep),
        ]
    )
    register_think_tool(made)
    made.register(tool(done))
    return made
