"""A misbehaving MCP server, standard library only: `python mcp_hostile.py MODE`."""

import json
import os
import signal
import subprocess
import sys
import time

MODE = sys.argv[1] if len(sys.argv) > 1 else ""
TOOL = {
    "name": "echo",
    "description": "Say it again.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}
OK = {"content": [{"type": "text", "text": "fine"}]}


def send(message):
    write(json.dumps({"jsonrpc": "2.0", **message}))


def write(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def hang():
    sys.stdin.read()  # until the client goes away


def sleep():
    time.sleep(60)


def leave_child(own_session):
    """A child that holds our pipes until the client closes its end of them."""
    if os.fork() == 0:
        if own_session:
            os.setsid()
        while os.read(0, 65_536):
            pass
        os._exit(0)


def initialize(number, params):
    if MODE == "die_at_start_leaving_child":
        leave_child(own_session=False)
        os._exit(3)
    if MODE == "hang_at_start":
        hang()
    if MODE == "die_at_start":
        sys.exit("no licence")
    if MODE == "garbage_at_start":
        write("Welcome!\n{not json\n[1,2]\nnull\n" + "[" * 5000)
    revision = {"future": "2099-01-01", "old": "2024-11-05", "no_revision": None}.get(
        MODE, params["protocolVersion"]
    )
    if MODE == "error_at_start":
        return send({"id": number, "error": {"code": "\x1b[2J", "message": "not \x1b]0;x\x07\u202etoday"}})
    info = {"name": "hostile\x1b[2J", "version": "1"}
    result = {"protocolVersion": revision, "capabilities": {"tools": {}}, "serverInfo": info}
    return send({"id": number, "result": result})


def tools_list(number, params):
    if MODE == "hang_at_list":
        hang()
    result = {"tools": [TOOL]}
    if MODE == "endless_pages":
        result["nextCursor"] = str(int(params.get("cursor", 0)) + 1)
    if MODE == "same_page":
        result["nextCursor"] = "again"
    if MODE == "slow_pages":
        time.sleep(0.1)
        result["nextCursor"] = str(time.time())
    if MODE == "empty_cursor":
        result["nextCursor"] = ""
    if MODE == "patterns":
        result["tools"] = [{"name": f"tool_{i}", "inputSchema": schema} for i, schema in enumerate(PATTERNS)]
    if MODE == "pages" and "cursor" not in params:
        result = {"tools": [{**TOOL, "name": "first"}], "nextCursor": "2"}
    if MODE == "no_list":
        result = {"tools": "many"}
    if MODE == "bad_tools":
        deep = {"type": "object"}
        for _ in range(200):
            deep = {"type": "object", "properties": {"x": deep}}
        result["tools"] = [
            None,
            {"name": 5},
            {"name": "x" * 100, "inputSchema": {}},
            {"name": "no_schema"},
            {"name": "bad_required", "inputSchema": {"type": "object", "properties": {}, "required": 7}},
            {"name": "bad_properties", "inputSchema": {"properties": []}},
            {"name": "deep", "inputSchema": deep},
            {"name": "huge", "inputSchema": {"enum": ["x" * 100_000]}},
            {"name": "bidi", "inputSchema": {"properties": {"a\u202eb": {}}}},
            TOOL,
            {**TOOL, "description": "the second of that name"},
        ]
    if MODE == "dirty":
        words = "Nice\x1b[2J\u202e\u200b tool " + "x" * 100_000
        schema = {"type": "object", "properties": {"q": {"type": "string", "description": words}}}
        result["tools"] = [{"name": "a/b tool", "description": words, "inputSchema": schema}]
    if MODE == "no_properties":
        result["tools"] = [{"name": "echo", "inputSchema": {"type": "object"}}]
    send({"id": number, "result": result})


EVIL = "^(a+)+$"
TURNED_ROUND = {"type": "integer"}
for _ in range(25):
    TURNED_ROUND = {"not": TURNED_ROUND}
PATTERNS = [
    {"properties": {"text": {"type": "string", "pattern": EVIL, "description": "Letters."}}},
    {"properties": {}, "patternProperties": {EVIL: {}}, "additionalProperties": False},
    {"properties": {"text": {}}, "propertyNames": {"anyOf": [{"pattern": EVIL}, {"const": "text"}]}},
    {"properties": {"text": {"not": {"pattern": EVIL}}}},
    {"properties": {"text": {"if": {"pattern": EVIL}, "then": {"type": "integer"}}}},
    {"properties": {"text": {"oneOf": [{"pattern": EVIL}, {"minLength": 3}]}}},
    {"properties": {"text": TURNED_ROUND}},
    {"properties": {"pattern": {"type": "string"}, "text": {"const": {"pattern": EVIL}}}},
    {
        "properties": {"text": {"$ref": "#/$defs/d0"}},
        "$defs": {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)}
        | {"d40": False},
    },
]


CALLS = {
    "die_leaving_child": lambda n: (leave_child(own_session=False), os._exit(3)),
    "die_leaving_stranger": lambda n: (leave_child(own_session=True), os._exit(3)),
    "hang_with_stranger": lambda n: (leave_child(own_session=True), sleep()),
    "ignore_input": lambda n: sleep(),
    "busy": lambda n: (time.sleep(1.5 * (n == 3)), send({"id": n, "result": OK})),
    "hang_at_call": lambda n: hang(),
    "die_at_call": lambda n: (sys.stderr.write("out of\x1b[31m luck\n"), sys.stderr.flush(), os._exit(3)),
    "close_output": lambda n: (os.close(1), hang()),
    "is_error": lambda n: send(
        {"id": n, "result": {"content": [{"type": "text", "text": "no such row"}], "isError": True}}
    ),
    "rpc_error": lambda n: send({"id": n, "error": {"code": -32602, "message": "bad arguments"}}),
    "odd_error": lambda n: send({"id": n, "error": "just text"}),
    "no_result": lambda n: send({"id": n}),
    "list_result": lambda n: send({"id": n, "result": [1]}),
    "no_content": lambda n: send({"id": n, "result": {"ok": True}}),
    "odd_content": lambda n: send({"id": n, "result": {"content": "text"}}),
    "wrong_ids": lambda n: (
        [send({"id": i, "result": {}}) for i in (str(n), n + 100, None, True, -1, [n])],
        hang(),
    ),
    "huge": lambda n: (sys.stdout.write("x" * 17_000_000 + "\n"), sys.stdout.flush()),
    "huge_without_end": lambda n: (
        [sys.stdout.write("x" * 65_536) for _ in range(2000)],
        sys.stdout.flush(),
        hang(),
    ),
    "cut_message": lambda n: (sys.stdout.write('{"jsonrpc": "2.0", "id": '), sys.stdout.flush(), os._exit(0)),
    "not_utf8": lambda n: (
        sys.stdout.buffer.write(b'{"id": 3, "result": "\xff\xfe"}\n'),
        sys.stdout.flush(),
        hang(),
    ),
    "batch": lambda n: write(
        json.dumps([{"jsonrpc": "2.0", "method": "notifications/message"}, {"id": n, "result": OK}])
    ),
    "stderr_flood": lambda n: (
        [sys.stderr.write("noise " * 100 + "\n") for _ in range(5000)],
        send({"id": n, "result": OK}),
    ),
    "stdout_flood": lambda n: ([write("log line") for _ in range(20_000)], send({"id": n, "result": OK})),
    "progress_flood": lambda n: (
        [
            send({"method": "notifications/progress", "params": {"progressToken": n, "progress": i}})
            for i in range(5000)
        ],
        send({"id": n, "result": OK}),
    ),
    "twice": lambda n: (send({"id": n, "result": OK}), send({"id": n, "result": {"content": []}})),
    "chatty": lambda n: (
        send({"method": "notifications/message", "params": {"level": "info", "data": "hello"}}),
        send({"id": 9999, "result": {"content": []}}),
        send({"method": "no/such/thing", "params": [1]}),
        send({"method": 5}),
        send({"id": n, "result": OK}),
    ),
    "nested": lambda n: write(f'{{"id": {n}, "result": {"[" * 100_000 + "]" * 100_000}}}'),
}


def ask(method):
    """Ask the client something and give its answer."""
    send({"id": "s1", "method": method})
    return json.loads(sys.stdin.readline())


def main():
    if MODE == "launcher" and os.fork():
        os._exit(0)
    if MODE == "marks":
        open(os.path.join(sys.argv[2], str(os.getpid())), "w").close()
    if MODE in ("child", "stubborn"):
        child = subprocess.Popen([sys.executable, "-I", "-S", __file__, "sleeper"])
        sys.stderr.write(f"pids {os.getpid()} {child.pid}\n")
        sys.stderr.flush()
        with open(sys.argv[2], "w") as file:
            file.write(f"{os.getpid()} {child.pid}")
    if MODE in ("stubborn", "sleeper"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MODE == "sleeper":
        sleep()
    calls = 0
    for line in sys.stdin:
        message = json.loads(line)
        method, number, params = message.get("method"), message.get("id"), message.get("params", {})
        if method == "initialize":
            initialize(number, params)
            if MODE == "deaf":
                sleep()
        elif method == "tools/list":
            tools_list(number, params)
        elif method == "notifications/cancelled":
            sys.stderr.write(f"cancelled {params}\n")
            sys.stderr.flush()
        elif method == "tools/call":
            calls += 1
            if MODE == "late" and calls == 1:
                late = number  # answered after the next call
            elif MODE == "late":
                send({"id": late, "result": {"content": [{"type": "text", "text": "late"}]}})
                send({"id": number, "result": OK})
            elif MODE.startswith("asks "):
                send({"id": number, "result": {"structuredContent": ask(MODE[5:])}})
            elif MODE == "answers":
                said = {"said": params["arguments"]["text"]}
                send({"id": number, "result": {"structuredContent": said, "content": []}})
            elif MODE == "env":
                send({"id": number, "result": {"structuredContent": dict(os.environ), "content": []}})
            elif MODE == "changes" and calls == 1:
                TOOL["name"] = "renamed"
                send({"method": "notifications/tools/list_changed"})
                send({"id": number, "result": OK})
            elif MODE == "cancelled_seen" and calls == 1:
                continue
            elif MODE in CALLS:
                CALLS[MODE](number)
            else:
                send({"id": number, "result": OK})
    if MODE == "stubborn":
        sleep()


main()
