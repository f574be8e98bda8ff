"""Cases in a YAML file; loaded when there is one, for YAML takes its time to load."""

from __future__ import annotations

from pathlib import Path

import yaml

from looplet.evals.case import CaseError, Row, named_after, read_text
from pytest_looplet.cassette.yaml_in import SAFE_LOADER, NotYaml, check_depth

_MOST_ALIASED = 10_000


def yaml_rows(file: Path) -> list[Row]:
    """The cases in *file*, each with the place where it stands.

    Raises:
        CaseError: it cannot be read; the text names file and line.
    """
    text = read_text(file)
    loader = SAFE_LOADER(text)
    try:
        check_depth(text.encode("utf-8", "surrogatepass"), SAFE_LOADER)
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
