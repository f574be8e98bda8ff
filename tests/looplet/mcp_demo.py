"""A server made with the official SDK: `python mcp_demo.py`."""

import asyncio

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Image
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

server = MCPServer("demo")


class Point(BaseModel):
    x: int
    y: int


@server.tool()
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def where(name: str) -> Point:
    """Find a point."""
    return Point(x=len(name), y=2)


@server.tool(structured_output=False)
def say(text: str) -> str:
    """Say it."""
    return text


@server.tool(structured_output=False)
def picture() -> Image:
    """Draw."""
    return Image(data=b"png", format="png")


@server.tool()
def broken() -> str:
    """Break."""
    raise ToolError("the disk is full")


@server.tool()
async def slow(ctx: Context, seconds: float) -> str:
    """Take time."""
    await ctx.report_progress(1, 2, "half")
    await asyncio.sleep(seconds)
    return "slept"


server.run("stdio")
