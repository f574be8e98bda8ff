"""Takes one branch at a time out of the permission engine and sees that a row of a table turns red.

Run it by itself: it prints each branch that no row misses, and exits with 1 if there is one. Each mutant
lives in a process of its own, which imports the package with one `if` taken out.
"""

import ast
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
import warnings
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(HOUSE)]
PACKAGE = "looplet.permissions"
SOURCES = (
    "rule",
    "engine",
    "hook",
    "commands",
    "inside",
    "elsewhere",
    "patterns",
    "runs",
    "shell",
    "paths",
    "values",
    "linear",
    "globs",
)

SPARED = {
    # They bound time or memory, or choose words; the verdict of a small call is the same without them.
    ("engine", "len(self.denials) > self.audit.limit"),
    ("engine", "earlier"),
    ("engine", "not isinstance(rule, PermissionRule)"),
    ("engine", "outcome.denied"),
    ("engine", "rule.decision is PermissionDecision.DEFAULT"),
    ("rule", "matcher is None"),
    ("rule", "all((type(value) in ATOMS for value in args.values()))"),
    ("engine", "handler is None"),
    ("commands", "known and (not named) and (not self._any_program)"),
    ("shell", "found is None or found.lastgroup is None"),
    ("globs", "not tail and (not any(middle))"),
    ("hook", "call is None"),
    ("paths", "looked_at > MOST_ENTRIES"),
    ("inside", "first and '..' not in name.split('/') and (not os.path.lexists(os.path.join(start, first)))"),
}


def branches(source):
    """Every `if` of a module but those of `__str__`: its condition, and the module without its body."""
    tree = ast.parse(source)
    found = [
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        and function.name not in ("__str__", "__post_init__", "__eq__")
        for node in ast.walk(function)
        if isinstance(node, ast.If)
    ]
    for node in {id(node): node for node in found}.values():
        text, body = ast.unparse(node.test), node.body
        node.body = node.orelse or [ast.Pass()]
        orelse, node.orelse = node.orelse, []
        test, node.test = node.test, ast.Constant(True)
        yield text, node.lineno, compile(ast.fix_missing_locations(tree), "mutant", "exec")
        node.body, node.orelse, node.test = body, orelse, test


class Mutant:
    """Gives one module of the package from other code."""

    def __init__(self, module, code):
        self.module, self.code = f"{PACKAGE}.{module}", code

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name == self.module else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.code, module.__dict__)


def a_row_is_red(base):
    """Whether any row of the tables has another verdict than it should."""
    from tests.looplet.permissions import rows

    return any(not good for good in rows.verdicts(base))


def killed(module, code, base):
    """Whether a table notices the mutant; one that hangs or cannot be imported is noticed too."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    signal.alarm(20)
    sys.meta_path.insert(0, Mutant(module, code))
    red = True
    try:
        red = a_row_is_red(base)
    finally:
        os._exit(1 if red else 0)


def main():
    # What does not change is imported once, in front of all children.
    import hypothesis  # noqa: F401
    import pytest  # noqa: F401

    import looplet.redact
    import looplet.testing  # noqa: F401

    warnings.simplefilter("ignore")
    base = Path(tempfile.mkdtemp())
    survivors, count = [], 0
    try:
        if killed(
            "globs", compile((HOUSE / "looplet/permissions/globs.py").read_text(), "same", "exec"), base
        ):
            print("the tables are red without any change")
            return 1
        for module in sys.argv[1:] or SOURCES:
            source = (HOUSE / "looplet" / "permissions" / f"{module}.py").read_text("utf-8")
            for text, line, code in branches(source):
                if (module, text) in SPARED:
                    continue
                count += 1
                if not killed(module, code, base):
                    survivors.append(f"looplet/permissions/{module}.py:{line}: no row misses `if {text}`")
    finally:
        shutil.rmtree(base)
    print("\n".join([*survivors, f"{count} branches taken out, {len(survivors)} of them unnoticed"]))
    return 1 if survivors or not count else 0


if __name__ == "__main__":
    sys.exit(main())
