"""The page of every message we raise: `python tests/docs/error_page.py` writes it again.

Messages are read from the source, as templates: `…` stands for what a message fills in. What each area is,
and what to do there, stands in error_areas.toml.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HOUSE = Path(__file__).parents[2]
PAGE = HOUSE / "docs" / "errors.md"

AREAS = tuple(
    (area["heading"], area["modules"].split(), area["about"])
    for area in tomllib.loads(Path(__file__).with_name("error_areas.toml").read_text(encoding="utf-8"))[
        "area"
    ]
)
"""Each part of the page: its heading, the modules whose messages it holds, and what a reader should know."""

HEAD = """\
# Every message

Search this page for words of the message in front of you; `…` stands for whatever yours has there. The most
frequent ones have an answer of their own in [troubleshooting](troubleshooting.md).
"""

OURS = re.compile(
    r"(Error|Failed|Exhausted|Refused|Diverged|Closed|Timeout|Unreadable|_Unreadable|Unsure|Drift|Recorded"
    r"|Blocked|NoTape|NoModel|NoJudge|Spent|Unseen|Stopped|Interactions|NotYaml|NotWritten|Overlap|NothingToDo"
    r"|Unmet|_Twice|_unusable|_usage)$"
)
"""Names of what is raised, and of the helpers that make it."""

INTERNAL = re.compile(
    r"has no attribute|^…$|^([^a-zA-Z]*[a-zA-Z]?){7}$|is not a JSON value$|is no JSON value$"
)
"""Messages that no user is meant to meet: attribute errors of modules, texts made elsewhere."""


KINDS = {
    "_unusable": "ModelError",
    "_NothingToDo": "looplet eval",
    "pytest.Collector.CollectError": "collection error",
    "self.CollectError": "collection error",
    "pytest.UsageError": "usage error",
    "NoModel if role == 'model' else NoJudge": "NoModel, NoJudge",
}
"""What a reader calls it, where that is not the name of its class."""


@dataclass(frozen=True, order=True)
class Message:
    """One message: the template of its text, what it is raised as, and where."""

    text: str
    kind: str
    module: str


@functools.cache
def messages() -> list[Message]:
    """Every message in the two packages, each once for each area."""
    found: set[Message] = set()
    for package in ("looplet", "pytest_looplet"):
        for path in sorted((HOUSE / package).rglob("*.py")):
            module = str(path.relative_to(HOUSE).with_suffix("").as_posix())
            if not module.startswith("looplet/examples"):
                found |= set(_in(ast.parse(path.read_text(encoding="utf-8")), module))
    return sorted(found)


def _in(tree: ast.AST, module: str) -> Iterator[Message]:
    for scope in ast.walk(tree):
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            said = _assigned(scope)
            for node in _own(scope):
                if isinstance(node, ast.Call) and (kind := _kind(node, scope)) is not None and node.args:
                    text = _template(said.get(getattr(node.args[0], "id", ""), node.args[0]))
                    if text and " " in text and not INTERNAL.search(text):
                        yield Message(text, KINDS.get(kind, kind.rpartition(".")[2].lstrip("_")), module)


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _own(child)


def _assigned(scope: ast.AST) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in _own(scope)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _kind(call: ast.Call, scope: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    name = ast.unparse(call.func)
    if name == "super().__init__" and scope.name == "__init__":
        return "" if call.args and _template(call.args[0]) else None
    if name == "warnings.warn":
        return "warning"
    return name if OURS.search(name) else None


def _template(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return " ".join(node.value.split())
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
        return re.sub(r"…(…|'…')+", "…", " ".join("".join(map(str, parts)).split()))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _template(node.left), _template(node.right)
        return f"{left or '…'}{right or '…'}"
    return None


def area_of(message: Message) -> str:
    """The heading below which *message* stands; of several that fit, the longest name wins."""
    return max(
        (len(start), heading)
        for heading, starts, _ in AREAS
        for start in starts
        if message.module == start or message.module.startswith(f"{start}/")
    )[1]


def shown(text: str) -> str:
    """*text* as code in Markdown."""
    fence = "``" if "`" in text else "`"
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def page() -> str:
    """The page as it should be."""
    parts = [HEAD]
    by_area: dict[str, dict[str, str]] = {}
    for message in messages():
        by_area.setdefault(area_of(message), {}).setdefault(message.text, message.kind)
    for heading, _, about in AREAS:
        if rows := by_area.get(heading):
            lines = [f"- {shown(text)}" + (f" ({kind})" if kind else "") for text, kind in rows.items()]
            parts.append(f"## {heading}\n\n{about}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}: {page().count(chr(10) + '- ')} messages\n")
