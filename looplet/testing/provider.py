"""A model provider on 127.0.0.1, scripted by a test: real HTTP, real SDKs, no key and no cost.

    with LocalProvider([call("search", q="x"), "The answer is 4."]) as provider:
        client = openai.OpenAI(base_url=provider.base_url, api_key="any")

It speaks `POST /v1/chat/completions`, `/v1/responses` and `/v1/messages`, whole and streamed, and
`/v1/embeddings`. The script is a list of replies, given in order, or a function of the request. A reply is
whatever `looplet.testing` scripts can say, or something wrong: `status(429, retry_after=1)`, `cut()`,
`slow(2)`, `malformed()`, `never()`, `refusal()`, `content_filter()`, `no_choices()`, `refuses_tools()`.
The same request always gets the same bytes back, ids, time stamps and headers included.

From a command line, for a program in another process:

    python -m looplet.testing.provider SCRIPT.json --port 8765

prints the base URL and serves until it is stopped (Ctrl-C, or its standard input closing with
`--until-eof`). SCRIPT.json is a list of replies, or an object `{"part of the task": [replies of each turn]}`.
A reply in JSON is a text; `{"call": "search", "args": {"q": "x"}}`;
`{"calls": [{"call": …, "args": …}, …], "text": "…"}`; `{"chunks": ["He", "llo"]}`;
`{"status": 429, "message": "…", "retry_after": 1}`; `{"slow": 2, "reply": …}`; `{"cut": reply}`;
`{"malformed": "text"}`; `{"never": true}`; `{"refusal": "text"}`; `{"content_filter": true}` or
`{"no_choices": true}`.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
from collections.abc import Sequence

from looplet.errors import ConfigError, ScriptExhausted
from looplet.testing.misbehave import (
    Status,
    content_filter,
    cut,
    malformed,
    never,
    no_choices,
    refusal,
    refuses,
    refuses_tools,
    slow,
    status,
    too_long,
)
from looplet.testing.provider_script import ProviderRequest, Script, by_task, script_from_json
from looplet.testing.provider_server import ProviderServer

__all__ = [
    "LocalProvider",
    "ProviderRequest",
    "by_task",
    "content_filter",
    "cut",
    "main",
    "malformed",
    "never",
    "no_choices",
    "refusal",
    "refuses",
    "refuses_tools",
    "script_from_json",
    "slow",
    "status",
    "too_long",
]


class LocalProvider:
    """A provider on 127.0.0.1; a context manager that serves while its block runs.

    Args:
        script: Replies in order, or a function of the request. When it runs dry or fails, the client gets
            status 500 with the reason, and does not try again.
        refuses: Request fields that this model does not know, such as `tools`, `max_tokens` or
            `temperature`: a request that has one gets status 400 that names it, and uses up no reply.
        port: 0 picks a free one.

    Attributes:
        requests: What was asked, in order.
        failures: Why requests could not be answered, in order; empty after a good run.
    """

    def __init__(self, script: Script, *, refuses: Sequence[str] = (), port: int = 0) -> None:
        self.requests: list[ProviderRequest] = []
        self.failures: list[str] = []
        self._find = script if callable(script) else None
        self._replies = [] if callable(script) else list(script)
        self._played = 0
        self._refuses = refuses
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = ProviderServer(self, port)
        self._thread = threading.Thread(target=self._serve, name="local-provider", daemon=True)

    @property
    def url(self) -> str:
        """The address without a path; `base_url` of the Anthropic SDK."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def base_url(self) -> str:
        """The address that ends in `/v1`; `base_url` of the OpenAI SDK (Anthropic's works with it too)."""
        return f"{self.url}/v1"

    @property
    def env(self) -> dict[str, str]:
        """Environment variables that send both SDKs here."""
        return {
            "OPENAI_BASE_URL": self.base_url,
            "OPENAI_API_KEY": "local",
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": "local",
        }

    @property
    def remaining(self) -> int:
        """How many replies of a list were not given yet."""
        return len(self._replies) - self._played

    def assert_exhausted(self) -> None:
        """Fail if a request could not be answered, or if replies of the list are left."""
        __tracebackhide__ = True
        if self.failures:
            raise ScriptExhausted(self.failures[0])
        if self.remaining:
            raise AssertionError(f"{self.remaining} of {len(self._replies)} replies were never asked for")

    def __enter__(self) -> LocalProvider:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and close every connection."""
        self._closing.set()
        if self._thread.is_alive():
            # A connection wakes the server at once; its own shutdown() would wait for a poll.
            socket.create_connection(("127.0.0.1", self._server.server_address[1])).close()
            self._thread.join()
        self._server.close_connections()
        self._server.server_close()

    def _serve(self) -> None:
        while not self._closing.is_set():
            self._server.handle_request()

    def reply_to(self, request: ProviderRequest) -> object:
        """What to answer; called by the server for each request."""
        with self._lock:
            self.requests.append(request)
            for name in self._refuses:
                if name in request.body:
                    return refuses(name, "max_completion_tokens" if name == "max_tokens" else "")
            if self._find is None:
                return self._next_of_list(request)
        try:
            return self._find(request)
        except Exception as error:
            return self.unscripted(f"{type(error).__name__}: {error}")

    def _next_of_list(self, request: ProviderRequest) -> object:
        if not self.remaining:
            return self.unscripted(
                f"the script of the local provider has {len(self._replies)} replies, and request "
                f"{len(self.requests)} ({request.endpoint}) asked for one more"
            )
        self._played += 1
        return self._replies[self._played - 1]

    def unscripted(self, reason: str) -> Status:
        """Note that a request could not be answered because of *reason*; gives the status to send."""
        self.failures.append(reason)
        return status(500, reason, headers={"x-should-retry": "false"})

    def pause(self, seconds: float | None) -> None:
        """Wait for *seconds*, or for ever, but no longer than the provider lives."""
        self._closing.wait(seconds)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve a script file until stopped; see the module's text. Returns 0, or 2 for a bad script."""
    parser = argparse.ArgumentParser(
        prog="python -m looplet.testing.provider", description="A scripted model provider."
    )
    parser.add_argument("script", help="JSON file: a list of replies, or an object of lists by task")
    parser.add_argument(
        "--port", type=int, default=0, help="port on 127.0.0.1; 0 (the default) picks a free one"
    )
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input closes")
    options = parser.parse_args(argv)
    try:
        provider = LocalProvider(script_from_json(options.script), port=options.port)
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    with provider:
        sys.stdout.write(f"{provider.base_url}\n")
        sys.stdout.flush()
        try:
            if options.until_eof:
                sys.stdin.read()
            else:
                threading.Event().wait()
        except KeyboardInterrupt:
            sys.stderr.write("stopped\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
