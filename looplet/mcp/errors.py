"""What goes wrong with an MCP server. In a tool call, each becomes the call's error result."""

from __future__ import annotations

from looplet.errors import LoopletError


class MCPError(LoopletError, RuntimeError):
    """The server answered with an error, or with something that is no answer; the text says which."""


class MCPTimeout(MCPError, TimeoutError):
    """The server did not answer within the time limit."""


class MCPClosed(MCPError, ConnectionError):
    """There is no server: it was not started, it was closed, or it died; the text has its last words."""
