"""A skill folder written for other agents, unchanged, over real HTTP: what the provider is sent, and when."""

from __future__ import annotations

import asyncio

import anthropic
import openai
import pytest

from looplet import LoopConfig, async_run_loop, run_loop, tool, tools_from
from looplet.backends import AnthropicBackend, AsyncOpenAIBackend, OpenAIBackend
from looplet.skills import load_skill
from looplet.testing import call
from looplet.testing.provider import LocalProvider

pytestmark = pytest.mark.slow

BODY = """# Filling forms

1. Read `references/fields.md` to learn which fields there are.
2. Run `scripts/fill.py FORM` for each of them.

| field | meaning |
|---|---|
| `sig` | who signs |

```yaml
---
not: front matter
---
```
"""

# Front matter as it is found in the wild: every field of the format, in the spellings that editors leave.
FRONTS = {
    "all fields": """---
name: form-filling
description: Fill PDF forms and merge them. Use when the user mentions PDF forms, or asks to fill one in.
license: Proprietary. LICENSE.txt has complete terms
compatibility: Requires python3, pypdf, and network access
metadata:
  author: example-org
  version: "2.1"
allowed-tools: Bash(python3:*) Read
---
""",
    "folded and quoted": """---
name: "form-filling"
description: >
  Fill PDF forms and merge them.
  Use when the user mentions PDF forms, or asks to fill one in.
tags: [pdf, forms]
---
""",
    "on several lines": """---
description: Fill PDF forms and merge them.
  Use when the user mentions PDF forms, or asks to fill one in.
name: form-filling   # keep in step with the folder
---
""",
}


@pytest.fixture(params=["\n", "\r\n"], ids=["LF", "CRLF"])
def newline(request):
    return request.param


@pytest.fixture(params=FRONTS.values(), ids=FRONTS)
def folder(request, tmp_path, newline):
    home = tmp_path / "form-filling"
    (home / "references").mkdir(parents=True)
    (home / "scripts").mkdir()
    text = (request.param + "\n" + BODY).replace("\n", newline)
    (home / "SKILL.md").write_bytes(text.encode())
    (home / "references" / "fields.md").write_text("The field sig takes a full name.\n")
    (home / "scripts" / "fill.py").write_text("print('filled')\n")
    (home / "LICENSE.txt").write_text("terms\n")
    return home


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@tool
def bash(cmd: str) -> str:
    """Run a command."""
    return f"ran {cmd}"


SCRIPT = [
    call("bash", cmd="ls"),
    call("activate_skill", name="form-filling"),
    call("read_skill_file", name="form-filling", path="references/fields.md"),
    call("done", answer="ready"),
]


def asked(skill, how):
    """The requests of a run, as the provider received them."""
    tools, config = tools_from([bash], include_done=True), LoopConfig(skills=[skill])

    async def run_async(url):
        async with openai.AsyncOpenAI(api_key="k", base_url=url) as client:
            llm = AsyncOpenAIBackend(client, model="m")
            return await async_run_loop(llm, "Fill it in.", tools, config=config)

    with LocalProvider(SCRIPT) as provider:
        if how == "openai, async":
            found = asyncio.run(run_async(provider.base_url))
        else:
            kind, backend, url = {
                "openai": (openai.OpenAI, OpenAIBackend, provider.base_url),
                "anthropic": (anthropic.Anthropic, AnthropicBackend, provider.url),
            }[how]
            with kind(api_key="k", base_url=url) as client:
                found = run_loop(backend(client, model="m"), "Fill it in.", tools, config=config)
        provider.assert_exhausted()
    assert found.stop_reason == "done"
    return provider.requests


def test_the_folder_loads_as_it_is(folder):
    before = everything(folder)
    skill = load_skill(folder)
    assert skill.name == "form-filling"
    assert skill.description == (
        "Fill PDF forms and merge them. Use when the user mentions PDF forms, or asks to fill one in."
    )
    assert skill.instructions == BODY.strip()
    assert everything(folder) == before


@pytest.mark.parametrize("how", ["openai", "openai, async", "anthropic"])
def test_the_prompt_grows_only_after_activation(tmp_path, how):
    home = tmp_path / "form-filling"
    (home / "references").mkdir(parents=True)
    (home / "SKILL.md").write_text(FRONTS["all fields"] + BODY)
    (home / "references" / "fields.md").write_text("The field sig takes a full name.\n")
    requests = [request.text for request in asked(load_skill(home), how)]
    shown = [
        ("form-filling", [True, True, True, True]),  # the catalogue
        ("Use when the user mentions PDF forms", [True, True, True, True]),
        ("who signs", [False, False, True, True]),  # the instructions
        ("takes a full name", [False, False, False, True]),  # a bundled file, on demand
        ("Requires python3, pypdf", [False] * 4),
        ("Bash(python3:*)", [False] * 4),
    ]
    assert [(text, [text in request for request in requests]) for text, _ in shown] == shown
    sizes = [len(request) for request in requests]
    assert sizes[2] - sizes[1] > len(BODY)
