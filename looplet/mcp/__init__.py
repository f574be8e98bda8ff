"""Tools of MCP servers (Model Context Protocol, over stdio) as tools of the loop. POSIX only."""

from looplet.mcp.adapter import MCPToolAdapter
from looplet.mcp.errors import MCPClosed, MCPError, MCPTimeout

__all__ = ["MCPClosed", "MCPError", "MCPTimeout", "MCPToolAdapter"]
