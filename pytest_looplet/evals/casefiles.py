"""Cases of an eval file: from the folder `cases` beside it, or from its list `looplet_cases`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from looplet.evals.case import Case, CaseError, Row, named_after, parse_cases, read_json_cases, read_text
from pytest_looplet.cassette.yaml_in import NotYaml, check_depth

SUFFIXES = (".yaml", ".yml", ".json", ".jsonl")

# The C reader where PyYAML was built with it: cases come by the thousand.
_MOST_ALIASED = 10_000
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def cases_beside(path: Path) -> list[Case]:
    """The cases in the folder `cases` beside the eval file *path*; empty without such files.

    Raises:
        CaseError: a file or a case is wrong; the text names file and line.
    """
    return cases_in(path.parent / "cases")


def cases_in(place: Path) -> list[Case]:
    """The cases in a file, or in the files of a folder.

    Raises:
        CaseError: a file or a case is wrong; the text names file and line.
    """
    files = [place] if place.is_file() else sorted(place.glob("*"))
    files = [file for file in files if file.suffix in SUFFIXES and file.is_file()]
    return parse_cases(row for file in files for row in _rows(file))


def cases_listed(values: object, where: str) -> list[Case]:
    """The cases of a list in Python: mappings or `Case` objects.

    Raises:
        CaseError: a case is wrong, or it is no list.
    """
    if isinstance(values, (str, bytes, dict)) or not isinstance(values, Iterable):
        raise CaseError(f"{where}: looplet_cases must be a list of cases, not {type(values).__name__}")
    return parse_cases((value, f"{where}: looplet_cases[{number}]") for number, value in enumerate(values))


def _rows(file: Path) -> list[Row]:
    return read_json_cases(file) if file.suffix in (".json", ".jsonl") else _yaml_rows(file)


def _yaml_rows(file: Path) -> list[Row]:
    text = read_text(file)
    loader = _Loader(text)
    try:
        check_depth(text.encode("utf-8", "surrogatepass"), _Loader)
        node = loader.get_single_node()
        if node is None:
            raise CaseError(f"{file}: the file is empty; delete it or write a case into it")
        _refuse_twins(node, file)
        if isinstance(node, yaml.SequenceNode):
            return [
                (loader.construct_document(item), f"{file}:{item.start_mark.line + 1}") for item in node.value
            ]
        return [(named_after(loader.construct_document(node), file), f"{file}:{node.start_mark.line + 1}")]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise CaseError(f"{file}{line}: {getattr(error, 'problem', None) or error}") from error
    except CaseError:
        raise
    except NotYaml as error:
        raise CaseError(f"{file}:{error.line or 1}: {error}") from error
    except (ValueError, OverflowError, RecursionError) as error:
        raise CaseError(f"{file}: a value cannot be read: {error}") from error
    finally:
        loader.dispose()


def _refuse_twins(node: yaml.Node, file: Path) -> None:
    """YAML takes the last of two equal keys in silence; a case with two tasks is a mistake."""
    pending, met, again = [node], set[int](), 0
    while pending:
        node = pending.pop()
        again += id(node) in met
        met.add(id(node))
        if again > _MOST_ALIASED:
            raise CaseError(f"{file}: its YAML aliases stand for too much; write the values out")
        if isinstance(node, yaml.SequenceNode):
            pending += node.value
        elif isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    raise CaseError(f"{file}:{key.start_mark.line + 1}: the key {key.value!r} occurs twice")
                seen.add(str(key.value))
                pending.append(value)
