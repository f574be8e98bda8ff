"""langgraph: the prebuilt ReAct agent over a scripted chat model."""

import sqlite3
import tempfile
import warnings

import tasks

warnings.filterwarnings("ignore")

from langchain_core.language_models.chat_models import BaseChatModel  # noqa: E402
from langchain_core.messages import AIMessage  # noqa: E402
from langchain_core.outputs import ChatGeneration, ChatResult  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langgraph.checkpoint.sqlite import SqliteSaver  # noqa: E402
from langgraph.prebuilt import create_react_agent  # noqa: E402


class Scripted(BaseChatModel):
    steps: int
    said: int = 0

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools, **options):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **options):
        number, self.said = self.said, self.said + 1
        call = {"name": "add", "args": {"a": number, "b": 1}, "id": f"c{number}"}
        reply = AIMessage("", tool_calls=[call]) if number < self.steps else AIMessage("done")
        return ChatResult(generations=[ChatGeneration(message=reply)])


@tool
def add(a: int, b: int) -> dict:
    """Add two numbers."""
    return tasks.add(a, b)


def _run(steps: int, saver=None) -> None:
    graph = create_react_agent(Scripted(steps=steps), [add], checkpointer=saver)
    config = {"recursion_limit": 4 * steps + 20, "configurable": {"thread_id": "t"}}
    options = {"durability": "sync"} if saver else {}
    done = graph.invoke({"messages": [("user", "Add.")]}, config, **options)
    assert sum(message.type == "tool" for message in done["messages"]) == steps


def step(steps: int) -> float:
    return tasks.cpu_seconds(lambda: _run(steps), 3) / steps


def checkpoint(steps: int) -> float:
    def saved() -> None:
        with tempfile.TemporaryDirectory() as folder:
            _run(steps, SqliteSaver(sqlite3.connect(f"{folder}/c.db", check_same_thread=False)))

    return tasks.added(lambda: _run(steps), saved, 2) / steps


if __name__ == "__main__":
    tasks.main(globals())
