"""How an async agent is awaited under pytest-asyncio: on the loop of the agent's own fixtures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest_asyncio


@pytest_asyncio.fixture
async def looplet_await() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine to its end on the loop that pytest-asyncio keeps for this test."""
    return asyncio.get_running_loop().run_until_complete
