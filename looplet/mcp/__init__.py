"""Tools of MCP servers (Model Context Protocol, over stdio) as tools of the loop. POSIX only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from looplet.lazy import names_of

if TYPE_CHECKING:
    from looplet.mcp.adapter import MCPToolAdapter as MCPToolAdapter
    from looplet.mcp.errors import (
        MCPClosed as MCPClosed,
        MCPError as MCPError,
        MCPTimeout as MCPTimeout,
    )

__all__, __getattr__ = names_of(  # pyright: ignore[reportUnsupportedDunderAll]
    __name__, {"adapter": "MCPToolAdapter", "errors": "MCPClosed MCPError MCPTimeout"}
)
