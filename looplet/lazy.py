"""Packages whose public names load when they are asked for (PEP 562)."""

from sys import modules

TYPE_CHECKING = False  # what typing.TYPE_CHECKING is at run time, without importing typing
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def names_of(package: str, homes: "Mapping[str, str]") -> "tuple[list[str], Callable[[str], object]]":
    """The `__all__` and the `__getattr__` of *package*, where *homes* gives for a module its names.

        __all__, __getattr__ = names_of(__name__, {"store": "FileStore MemoryStore"})

    A name is looked up each time it is asked for: in a process that forgets modules and loads them again, as
    pytest's `pytester` does, a value that was kept would be of the classes of another day.
    """
    where = {name: f"{package}.{module}" for module, names in homes.items() for name in names.split()}

    def load(name: str) -> object:
        home = where.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            return getattr(modules[home], name)
        except (KeyError, AttributeError):  # not loaded, or another thread is at it
            from importlib import import_module

            return getattr(import_module(home), name)

    return list(where), load
