"""The agent under test: it looks words up, so that it need not remember them."""

from looplet import tool

WORDS = {"cat": "gatto", "dog": "cane", "milk": "latte"}


@tool
def look_up(word: str) -> str:
    """The Italian word for an English one."""
    return WORDS[word]


TOOLS = [look_up]
