"""What every peer does, and how it is timed. Standard library only; the SDK is imported where it is used."""

import asyncio
import contextlib
import json
import logging
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RUNS, CALLS, LATENCY_S = 64, 10, 0.05
LONG_S, TOO_LONG_S = 0.5, 10.0  # short works are repeated for the one, and none goes on after the other
RESULT = "alpha beta the result of a search " * 60  # about 2 kB
SEARCH = {"name": "search", "description": "Search.", "parameters": {"type": "object", "properties": {}}}


def add(a: int, b: int) -> dict:
    """Add two numbers."""
    return {"sum": a + b}


def items(count: int) -> list[tuple[str, str]]:
    """What is given and what is expected, of *count* cases."""
    return [(f"q{number}", f"Q{number}") for number in range(count)]


def cpu_seconds(work, rounds: int = 10) -> float:
    """The least CPU time of all threads, after one run to warm up."""
    return _least(work, rounds, time.process_time)


def wall_seconds(work, rounds: int = 2) -> float:
    """The least time on the clock."""
    return _least(work, rounds, time.perf_counter)


def added(without, with_it, rounds: int = 5) -> float:
    """How much longer *with_it* takes on the clock than *without*."""
    return max(0.0, wall_seconds(with_it, rounds) - wall_seconds(without, rounds))


def _least(work, rounds: int, clock) -> float:
    work()
    taken: list[float] = []
    while sum(taken) < TOO_LONG_S and (len(taken) < rounds or sum(taken) < LONG_S):
        began = clock()
        work()
        taken.append(clock() - began)
    return min(taken)


async def together(one) -> None:
    """*one*, 64 times at once."""
    await asyncio.gather(*[one() for _ in range(RUNS)])


def sdk_agent(calls: int, transport=None, address: str = "http://127.0.0.1:9/v1") -> None:
    """An agent on the OpenAI SDK: a growing thread with 2 kB of result a call."""
    import httpx2
    import openai

    http = httpx2.Client(transport=transport) if transport else None
    client = openai.OpenAI(api_key="none", base_url=address, http_client=http, max_retries=0)
    messages = [{"role": "user", "content": "go"}]
    for number in range(calls):
        tools = [{"type": "function", "function": SEARCH}]
        reply = client.chat.completions.create(model="m", messages=messages, tools=tools)
        messages.append({"role": "assistant", "content": reply.choices[0].message.content})
        messages.append({"role": "user", "content": f"{number} {RESULT}"})
    client.close()


def completion(request: bytes) -> dict:
    """What the provider answers."""
    message = {"role": "assistant", "content": f"answer {len(json.loads(request)['messages'])}"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": choices}


@contextlib.contextmanager
def provider():
    """A provider on the loopback; gives its address."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.dumps(completion(self.rfile.read(int(self.headers["content-length"])))).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def main(names: dict) -> None:
    """`python PEER.py MEASURE [NUMBER]`: prints one figure, whatever the peer prints besides."""
    logging.disable(logging.CRITICAL)
    out = os.dup(1)
    os.dup2(2, 1)
    figure = names[sys.argv[1]](*map(int, sys.argv[2:]))
    os.write(out, f"{figure!r}\n".encode())
