"""A server's tools, for a registry."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from looplet.errors import ConfigError
from looplet.mcp.command import argv_of, environment, variables
from looplet.mcp.errors import MCPClosed, MCPError, MCPTimeout
from looplet.mcp.link import Link, Message, Told, opened
from looplet.mcp.listing import MOST_TOOLS, specs_of
from looplet.mcp.server import Server
from looplet.text import visible
from looplet.tools import BaseToolRegistry, ToolSpec
from looplet.types import ToolContext
from looplet.values import bounded, dumps

MOST_PAGES = 100


class MCPToolAdapter:
    """Starts an MCP server and offers its tools.

    `with MCPToolAdapter("python server.py") as server: server.register_all(registry)`. Constructing it starts
    nothing. A call that fails in whatever way is an error result of that call; the run goes on. After the
    server died, calls fail at once until `start()` is called.

    Args:
        command: How the server is started: a list of words, or a text in a shell's quoting. No shell is used.
        env: Variables for the server beside the few that every program needs (`PATH`, `HOME`, …). Keys and
            tokens in our own environment do not reach it unless they are given here.
        timeout: Seconds for the start, for the whole list of tools, and for each call.
        prefix: Put before the names of the tools, such as `"github."`, where they could meet others.
        cwd: The server's folder; ours by default.

    Raises:
        ConfigError: *command* needs a shell, *env* or *prefix* holds what it cannot, or *timeout* is no
            number above 0.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        prefix: str = "",
        cwd: str | None = None,
    ) -> None:
        number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
        if not number or not 0 < timeout <= threading.TIMEOUT_MAX:
            raise ConfigError(f"MCPToolAdapter(timeout={timeout!r}): give seconds above 0")
        if not isinstance(prefix, str) or not re.fullmatch(r"[A-Za-z0-9_.-]*", prefix):
            raise ConfigError(f"MCPToolAdapter(prefix={prefix!r}): give letters, digits, '_', '.' and '-'")
        self._argv = argv_of(command)
        self._env = variables(env or {})
        self._timeout = timeout
        self._prefix = prefix
        self._cwd = cwd
        self._name = os.path.basename(self._argv[0])
        self._link: Link | None = None
        self._swapping = threading.Lock()
        self._specs: list[ToolSpec] | None = None
        self._scene: object = None
        self._changed = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the server and shake hands; one that runs already is ended first.

        Raises:
            MCPError: It cannot be started, does not answer in time, or speaks no revision that we do.
        """
        self.close()
        self._swap(opened(self._name, self._prefix, self._start, self._told))

    def _start(self, told: Told) -> Link:
        return Server(self._argv, environment(self._env), self._cwd, self._timeout, told)

    def close(self) -> None:
        """End the server and its children. It may be called at any time, and again."""
        self._swap(None)

    def _swap(self, link: Link | None) -> None:
        with self._swapping:  # of several that start at once, the last one stays
            before, self._link = self._link, link
            self._specs = None
        if before is not None:
            before.close()

    def tools(self) -> list[ToolSpec]:
        """The server's tools, asked for once, and again after it said that they changed.

        Raises:
            MCPError: The list cannot be had.
        """
        scene = self._open().scene
        if self._specs is None or self._changed.is_set() or scene is not self._scene:
            self._changed.clear()
            self._scene = scene
            self._specs = specs_of(self._listed(), self._prefix, self._bind)
        return list(self._specs)

    def register_all(self, registry: BaseToolRegistry) -> int:
        """Add all tools to *registry*, or none of them; gives how many.

        Raises:
            ConfigError: A tool's name is taken; pass a `prefix`.
            MCPError: The list cannot be had.
        """
        specs = self.tools()
        names = {name.lower() for name in registry.tool_names}
        for spec in specs:
            if spec.name.lower() in names:
                raise ConfigError(
                    f"the MCP server {self._name!r} brings a tool {spec.name!r}, and there is one already; "
                    "pass MCPToolAdapter(prefix=...)"
                )
        for spec in specs:
            registry.register(spec)
        return len(specs)

    def _open(self) -> Link:
        link = self._link
        if link is None:
            raise MCPClosed(f"the MCP server {self._argv[0]!r} is not running: use `with`, or call start()")
        return link

    def _told(self, method: str, params: Message) -> None:
        if method == "notifications/tools/list_changed":
            self._changed.set()

    def _listed(self) -> list[Any]:
        link = self._open()
        listed: list[Any] = []
        cursor: object = None
        left, deadline = self._timeout, time.monotonic() + self._timeout
        for _ in range(MOST_PAGES):
            page = {} if cursor is None else {"cursor": cursor}
            answer = link.request("tools/list", page, timeout_s=left)
            tools = answer.get("tools")
            if not isinstance(tools, list):
                raise MCPError(
                    f"tools/list: the answer of the MCP server {self._name!r} has no list of tools"
                )
            listed += tools
            before, cursor = cursor, answer.get("nextCursor")
            if cursor in (None, "") or len(listed) > MOST_TOOLS:  # some end with an empty text
                return listed
            if cursor == before or not isinstance(cursor, str):
                raise MCPError(f"tools/list: the pages of the MCP server {self._name!r} do not go on")
            left = deadline - time.monotonic()
            if left <= 0:
                raise MCPTimeout(
                    f"tools/list: the MCP server {self._name!r} still gives pages after {self._timeout:g} s"
                )
        raise MCPError(f"tools/list: the MCP server {self._name!r} has more than {MOST_PAGES} pages")

    def _bind(self, name: str, has_ctx: bool) -> Callable[..., Any]:
        if not has_ctx:
            return lambda **arguments: self._call(name, arguments, None)

        def execute(*, ctx: ToolContext | None = None, **arguments: Any) -> Any:
            return self._call(name, arguments, ctx)

        return execute

    def _call(self, name: str, arguments: dict[str, Any], ctx: ToolContext | None) -> Any:
        answer = self._open().request(
            "tools/call",
            {"name": name, "arguments": arguments},
            timeout_s=self._timeout,
            cancel_token=ctx.cancel_token if ctx is not None else None,
            on_progress=_progress_teller(ctx),
        )
        return data_of(answer)


def _progress_teller(ctx: ToolContext | None) -> Callable[[Message], None] | None:
    if ctx is None or ctx.on_progress is None:
        return None
    known = ("progress", "total", "message")
    return lambda said: ctx.report_progress("mcp", {name: said[name] for name in known if name in said})


def data_of(answer: Message) -> Any:
    """What a call gave: structured content where the server sends it, the value of a single JSON text,
    `{"text": …}` for a single other text, else `{"content": [blocks as they came]}`.

    Raises:
        MCPError: The server says that the call failed, or the answer has no content.
    """
    content = answer.get("content", [])
    structured = answer.get("structuredContent")
    if not isinstance(content, list) or not ("content" in answer or isinstance(structured, dict)):
        raise MCPError("tools/call: the MCP server's answer has no list of content")
    blocks = [block for block in content if isinstance(block, dict)]
    texts = [b["text"] for b in blocks if b.get("type") == "text" and isinstance(b.get("text"), str)]
    if answer.get("isError"):
        said = "\n".join(texts) or (
            dumps(structured) if structured else "the MCP server says that the call failed"
        )
        raise MCPError(visible(bounded(said, 2_000)))
    only_text = len(texts) == len(blocks)
    if isinstance(structured, dict):
        return structured if only_text else {"content": blocks, "structured": structured}
    if only_text and len(texts) == 1:
        return _value_of(texts[0])
    return {"content": blocks}


def _value_of(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"text": text}
