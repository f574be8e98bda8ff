"""Tools of MCP servers (Model Context Protocol, over stdio) as tools of the loop. POSIX only."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from looplet.mcp.adapter import MCPToolAdapter as MCPToolAdapter
    from looplet.mcp.errors import (
        MCPClosed as MCPClosed,
        MCPError as MCPError,
        MCPTimeout as MCPTimeout,
    )

_HOMES = {"MCPToolAdapter": "adapter", "MCPClosed": "errors", "MCPError": "errors", "MCPTimeout": "errors"}

__all__ = ["MCPClosed", "MCPError", "MCPTimeout", "MCPToolAdapter"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
