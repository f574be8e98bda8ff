"""Tools of an MCP server, as if they were functions. Started with `serve`, this file is the server itself.

Prints:
    tools: demo.add
    #1 ✓ demo.add(a=2, b=3) → 5 [0ms]
    #2 ✓ done(answer=It is 5.) → 1 keys [0ms]
"""

import json
import sys

from looplet import MCPToolAdapter, composable_loop, tools_from
from looplet.testing import ScriptedChatBackend, call

NUMBER = {"type": "number"}
ADD = {
    "name": "add",
    "description": "Add two numbers.",
    "inputSchema": {"type": "object", "properties": {"a": NUMBER, "b": NUMBER}, "required": ["a", "b"]},
}


def answer(method, params):
    if method == "initialize":
        about = {"name": "demo", "version": "1"}
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": about,
        }
    if method == "tools/list":
        return {"tools": [ADD]}
    given = params["arguments"]
    return {"content": [{"type": "text", "text": str(given["a"] + given["b"])}]}


def serve():
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            result = answer(message["method"], message.get("params", {}))
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)


def main():
    llm = ScriptedChatBackend(call("demo.add", a=2, b=3), "It is 5.")
    with MCPToolAdapter([sys.executable, __file__, "serve"], prefix="demo.") as server:
        tools = tools_from([], include_done=True)
        server.register_all(tools)
        print("tools:", *(spec.name for spec in server.tools()))
        for step in composable_loop(llm, "What is 2 + 3?", tools):
            print(step.pretty())


if __name__ == "__main__":
    serve() if "serve" in sys.argv else main()
