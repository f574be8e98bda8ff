"""Finding `eval_*` functions in files, and only those that belong there."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from looplet.errors import LoopletError

SKIPPED_FOLDERS = frozenset({"node_modules", "site-packages", "venv", "__pycache__", "build", "dist"})


class EvalFileError(LoopletError):
    """A file of evals cannot be imported; the text names the file and the reason."""


def eval_discover(
    path: str | Path, *, pattern: str = "eval_*.py", prefix: str = "eval_", strict: bool = False
) -> list[Callable[..., Any]]:
    """The evals in a file, or in the files of a folder that match *pattern*.

    Functions defined in the file and assignments such as `eval_x = finished()` count, imported names do
    not; the order is that of the file. Virtual environments and hidden folders are left out.

    Args:
        path: A file or a folder.
        pattern: Which files of a folder.
        prefix: How names of evals begin.
        strict: Raise for a file that does not import, instead of leaving it out with a warning.
    Raises:
        EvalFileError: with *strict*, a file that does not import.
    """
    found: list[Callable[..., Any]] = []
    for file in eval_files(Path(path), pattern):
        try:
            found += evals_in(load(file), prefix)
        except EvalFileError as error:
            if strict:
                raise
            logging.getLogger(__name__).warning("left out: %s", error)
    return found


def eval_files(path: Path, pattern: str = "eval_*.py") -> list[Path]:
    """*path* itself if it is a file, else the files below it that match *pattern*, sorted."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob(pattern) if file.is_file() and not _is_foreign(file, path))


def _is_foreign(file: Path, root: Path) -> bool:
    folders = file.relative_to(root).parts[:-1]
    if any(name in SKIPPED_FOLDERS or name.startswith(".") for name in folders):
        return True
    return any((parent / "pyvenv.cfg").exists() for parent in file.parents if root in parent.parents)


def load(file: Path) -> ModuleType:
    """Import *file* under a name of its own, so that two files of one name do not meet.

    Raises:
        EvalFileError: the file raised, or is no Python.
    """
    file = file.resolve()
    name = f"looplet_evals_{file.stem}_{hashlib.sha1(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise EvalFileError(f"{file}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise EvalFileError(f"{file}{_line_of(error, file)}: {type(error).__name__}: {error}") from error
    return module


def _line_of(error: BaseException, file: Path) -> str:
    """`:12` for the deepest frame of *error* that lies in *file*."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename == str(file):
        line = error.lineno
    return f":{line}" if line else ""


def evals_in(module: ModuleType, prefix: str = "eval_") -> list[Callable[..., Any]]:
    """The evals of *module*, in the order of the file."""
    return [value for name, value in vars(module).items() if is_eval(module, name, value, prefix)]


def is_eval(module: ModuleType, name: str, value: object, prefix: str = "eval_") -> bool:
    """Whether *value*, found in *module* as *name*, is an eval that belongs to it."""
    if not name.startswith(prefix) or not callable(value) or isinstance(value, type):
        return False
    if type(value).__module__.startswith("_pytest.") or hasattr(value, "_pytestfixturefunction"):
        return False  # a fixture, in pytest from 8.4 on or before
    return not _imported(module, value)


def _imported(module: ModuleType, value: object) -> bool:
    """Whether another module really holds *value* under its own name.

    `__module__` alone would not do: a decorator without `functools.wraps` leaves its own there.
    """
    home = sys.modules.get(getattr(value, "__module__", None) or "")
    if home is None or home is module:
        return False
    return vars(home).get(getattr(value, "__name__", "")) is value
