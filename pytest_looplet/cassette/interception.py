"""When model calls are intercepted: from the moment that an HTTP client is there to make one.

To intercept is to load vcrpy, and with it every HTTP library that is installed. A replay in which nobody can
speak HTTP, because no client is loaded, does without until one is.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from types import ModuleType

from pytest_looplet.cassette import deck
from pytest_looplet.cassette.errors import HTTPLibraryUnseen

_OLDEST = (9, 4, 2)
_BEFORE = (10,)

CLIENTS = frozenset(
    {
        *("http.client", "urllib.request", "http.cookiejar", "xmlrpc.client"),
        *(
            "urllib3",
            "requests",
            "httpcore",
            "httpcore2",
            "httpx",
            "httpx2",
            "aiohttp",
            "httplib2",
            "tornado",
        ),
        *("boto3", "botocore", "httpx_curl_cffi", "pyreqwest"),
    }
)
"""Modules that can speak HTTP and that vcrpy sees, and those of the standard library that it needs of them.

The outermost of those that an import loads is whole before the interception looks at any of them.
"""


class _Interception:
    """In place while a tape is open; the same for all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._context: ExitStack | None = None
        self._bridge: ModuleType | None = None
        self._watch = _Watch(self._client_loaded)

    def acquire(self, *, only_plays: bool = False) -> None:
        """Put it in place if it is not there, and prove that it sees the SDKs that are loaded.

        Args:
            only_plays: The tape lets nothing to the network, so that it may wait for the first client.

        Raises:
            HTTPLibraryUnseen: it does not.
        """
        with self._lock:
            if self._context is None and only_plays and CLIENTS.isdisjoint(sys.modules):
                self._watch.start()
            else:
                self._install()
            self._users += 1
        try:
            if self._context is not None:
                _bridge().check_seen()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Take it away with the last tape; it stays while a thread lives that must not call any more."""
        with self._lock:
            self._users -= 1
            if self._users == 0 and not deck.has_stragglers():
                self._watch.stop()
                if self._context is not None:
                    self._context.close()
                    self._context = None

    def _install(self) -> None:
        _check_vcrpy()
        bridge = _bridge()
        if self._context is not None and bridge is not self._bridge:
            # A session inside a session (pytester) loads it and the clients anew.
            self._context.close()
            self._context = None
        if self._context is None:
            self._context, self._bridge = bridge.install(), bridge
        self._watch.stop()

    def _client_loaded(self) -> None:
        # Who holds the lock puts it in place already, and may wait for this very import to end.
        if self._lock.acquire(blocking=False):
            try:
                self._install()
            finally:
                self._lock.release()


def _bridge() -> ModuleType:
    from pytest_looplet.cassette import vcr_bridge

    return vcr_bridge


class _Watch(MetaPathFinder):
    """Waits for the import of an HTTP client.

    Args:
        loaded: Called when one is there, and whatever it imports from `CLIENTS`.
    """

    def __init__(self, loaded: Callable[[], None]) -> None:
        self._loaded = loaded
        self._here = threading.local()

    def start(self) -> None:
        """From now on, see imports."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """See no more of them."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the other finders give, for a client with a loader that tells when it is loaded."""
        if fullname not in CLIENTS:
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and isinstance(spec.loader, Loader):
            self._listen(spec.loader)
        return spec

    def _listen(self, loader: Loader) -> None:
        def load(module: ModuleType) -> None:
            del loader.exec_module  # its own again
            self._here.depth = depth = getattr(self._here, "depth", 0) + 1
            try:
                loader.exec_module(module)
            finally:
                self._here.depth -= 1
                if depth == 1:  # also for one that failed: it may have loaded others
                    _bind(module)
                    self._loaded()

        loader.exec_module = load  # type: ignore[method-assign]


def _bind(module: ModuleType) -> None:
    """Make *module* an attribute of its package, as its import will do next."""
    package, _, name = module.__name__.rpartition(".")
    if package:
        setattr(sys.modules[package], name, module)


interception = _Interception()
"""The one interception of this process."""


@functools.cache
def _check_vcrpy() -> None:
    found = version("vcrpy")
    numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
    if not _OLDEST <= numbers < _BEFORE:
        raise HTTPLibraryUnseen(
            f"vcrpy {found} is installed, and cassettes need one that sees the SDKs: "
            "pip install 'vcrpy>=9.4.2,<10'"
        )
