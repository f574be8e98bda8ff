"""Tools: what they are, how a function becomes one, and how calls reach them."""

from looplet.tools.cut import cut, truncate_tool_result
from looplet.tools.decorator import FunctionTool, tool, tools_from
from looplet.tools.failure import classify, refused
from looplet.tools.registry import BaseToolRegistry, register_think_tool
from looplet.tools.spec import ToolSpec

__all__ = [
    "ToolSpec",
    "tool",
    "tools_from",
    "FunctionTool",
    "BaseToolRegistry",
    "register_think_tool",
    "refused",
    "classify",
    "cut",
    "truncate_tool_result",
]
