"""The layers of the house: who may import whom, that nothing goes round in circles, what an import costs.

Imports are read from the source at any depth. Those inside functions count everywhere, those for type
checkers everywhere but in circles.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

HOUSE = Path(__file__).parent.parent

LAYERS = (
    ("words", "lazy types errors clock plain workers running", "freely"),
    (
        "vocabulary",
        "events hook_decision conversation session memory history parse schema values prompts"
        " redact shrink text encode line_delta",
        "freely",
    ),
    ("outside", "tools backends", "never"),
    ("checks", "validation", "never"),
    ("engine", "engine", "never"),
    ("pieces", "scaffolding", "never"),
    ("features", "*", "never"),
    ("door", "loop config drive planning", "freely"),
    ("judges", "trajectory evals provenance subagent context presets", "freely"),
    ("window", "cli __main__ examples testing", "freely"),
)
"""From the ground up: a layer, its rooms (`*`: every room not named), whether its rooms import each other."""

THIRD_PARTY = {"backends": {"openai", "anthropic"}, "telemetry": {"opentelemetry"}, "examples": {"openai"}}
"""What a room of looplet may load when it is used; never when it is imported."""

HEAVY = {"asyncio", "logging", "inspect"}
"""Standard modules that an import of the loop must not pay for on our account."""


@dataclass(frozen=True)
class Import:
    """One import statement's target: `importer` and `imported` are dotted module names."""

    importer: str
    imported: str
    line: int
    when: Literal["at once", "when called", "for types"]

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def modules(package: str) -> dict[str, Path]:
    found = {}
    for path in sorted((HOUSE / package).rglob("*.py")):
        parts = path.relative_to(HOUSE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules("looplet") | modules("pytest_looplet")


def targets(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        # `from looplet.engine import needs` names a module, `from looplet.types import Step` a member.
        return [sub if (sub := f"{node.module}.{a.name}") in MODULES else node.module for a in node.names]
    return []


def imports_of(name: str) -> Iterator[Import]:
    def walk(body: list[ast.stmt], when: str) -> Iterator[Import]:
        for node in body:
            yield from (Import(name, target, node.lineno, when) for target in targets(node))
            inner = when
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = "when called"
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                inner = "for types"
            for field in ("body", "orelse", "finalbody"):
                yield from walk(getattr(node, field, []), inner)
            for part in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
                yield from walk(part.body, inner)

    yield from walk(ast.parse(MODULES[name].read_text(encoding="utf-8")).body, "at once")


IMPORTS = {name: list(dict.fromkeys(imports_of(name))) for name in MODULES}


def room(module: str) -> str:
    """`looplet.engine.run` is in the room `engine`; the window itself has no room."""
    return module.split(".")[1] if "." in module else ""


def layer(room: str) -> int:
    named = {name: number for number, (_, rooms, _) in enumerate(LAYERS) for name in rooms.split()}
    return named.get(room, named["*"])


def verdict(importer: str, imported: str) -> str | None:
    """Why one room may not import another, or None."""
    if importer == imported:
        return None
    if layer(imported) > layer(importer):
        return f"{LAYERS[layer(importer)][0]} may not reach up to {LAYERS[layer(imported)][0]}"
    if layer(imported) == layer(importer) and LAYERS[layer(importer)][2] == "never":
        return f"{LAYERS[layer(importer)][0]} may not reach sideways"
    return None


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other (Tarjan)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in order:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(group)

    for node in sorted(edges):
        if node not in order:
            visit(node)
    return found


def run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


LOADED_BY = "import sys; before = set(sys.modules); {}; print(*sorted(set(sys.modules) - before))"


def test_imports_point_down():
    wrong = [
        f"{found}: {why}"
        for name in MODULES
        if room(name)
        for found in IMPORTS[name]
        if found.imported.startswith("looplet.") and name.startswith("looplet.")
        if (why := verdict(room(name), room(found.imported)))
    ]
    assert wrong == []


VERDICTS = {
    "a feature uses the engine": ("permissions", "engine", True),
    "a word uses the clock": ("types", "clock", True),
    "the engine knows no feature": ("engine", "permissions", False),
    "a feature knows no other feature": ("cache", "permissions", False),
    "tools know no backend": ("tools", "backends", False),
    "vocabulary is one family": ("prompts", "session", True),
    "the loop knows no judge": ("loop", "trajectory", False),
    "judges know the loop": ("trajectory", "loop", True),
}


@pytest.mark.parametrize(("importer", "imported", "allowed"), VERDICTS.values(), ids=VERDICTS)
def test_the_table_of_layers_says(importer, imported, allowed):
    assert (verdict(importer, imported) is None) == allowed


def test_no_module_imports_its_way_back_to_itself():
    # The windows are left out: they name everything below, and load it only when asked.
    edges = {
        name: {i.imported for i in IMPORTS[name] if i.imported in MODULES and i.when != "for types"} - {name}
        for name in MODULES
        if name not in ("looplet", "pytest_looplet")
    }
    assert circles(edges) == []


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c"]]


def test_looplet_loads_third_parties_only_inside_functions():
    wrong = [
        str(found)
        for name in MODULES
        if name.startswith("looplet")
        for found in IMPORTS[name]
        if (top := found.imported.split(".")[0]) not in sys.stdlib_module_names and top != "looplet"
        if found.when == "at once" or top not in THIRD_PARTY.get(room(name), ())
    ]
    assert wrong == []


def test_looplet_never_imports_the_plugin_nor_pytest():
    forbidden = {"pytest_looplet", "pytest", "_pytest", "vcr", "yaml", "tabulate"}
    wrong = [
        str(found)
        for name in MODULES
        if name.startswith("looplet")
        for found in IMPORTS[name]
        if found.imported.split(".")[0] in forbidden
    ]
    assert wrong == []


def test_import_looplet_loads_its_window_and_nothing_else():
    assert run(LOADED_BY.format("import looplet")) == ["looplet", "looplet.lazy"]


@pytest.mark.parametrize("name", ["Step", "composable_loop", "PermissionEngine", "ScriptExhausted"])
def test_a_public_name_loads_no_third_party_and_nothing_heavy_of_ours(name):
    loaded = run(LOADED_BY.format(f"from looplet import {name}"))
    ours = [module for module in loaded if module in MODULES]
    third = {module.split(".")[0] for module in loaded} - sys.stdlib_module_names - {"looplet"}
    at_once = [i for module in ours for i in IMPORTS[module] if i.when == "at once"]
    heavy = [str(i) for i in at_once if i.imported.split(".")[0] in HEAVY]
    assert (third, heavy) == (set(), [])
    assert not {"asyncio", "logging"} & set(loaded)
