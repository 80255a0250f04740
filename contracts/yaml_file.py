"""YAML files as validated values, with line numbers for error messages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ValidationError

from contracts.errors import ConfigurationError

# libyaml's loader, several times as fast, where PyYAML was built with it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

M = TypeVar("M", bound=BaseModel)
Where = tuple[str | int, ...]
WordSet = Annotated[frozenset[str], BeforeValidator(str.split)]
"""Words, written as one text with spaces between them."""


@dataclass(frozen=True)
class YamlFile(Generic[M]):
    """The value of a file. `name` is the file's name, for messages; lines count from 1."""

    name: str
    text: str
    value: M
    lines: Mapping[Where, int]

    def line(self, *where: str | int) -> int:
        """Return the line on which that part begins, or the nearest part around it."""
        return _nearest(self.lines, where)

    def problem(self, text: str, *where: str | int, chain: str = "") -> ConfigurationError:
        return problem(self.name, self.line(*where), text, chain=chain)


def problem(file: str, line: int, text: str, *, chain: str = "") -> ConfigurationError:
    """Return an error that names the file, its line, and the templates that led there."""
    return ConfigurationError(f"{file}:{line}: {text}" + (f" ({chain})" if "->" in chain else ""))


def read_yaml(path: Path, model: type[M]) -> YamlFile[M]:
    """Read a file whose keys are exactly those of `model`.

    Raises:
        ConfigurationError: it cannot be read, is not YAML, has a duplicate key, or does not fit `model`; the text names
            file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        loader = _LOADER(text)
        root = loader.get_single_node()
        content = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        raise problem(path.name, mark.line + 1 if mark else 1, exc.problem or str(exc)) from exc
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as exc:
        raise problem(path.name, 1, str(exc)) from exc
    lines: dict[Where, int] = {(): 1}
    for where, node in _parts(root, ()) if root is not None else ():
        if where in lines and where:
            raise problem(path.name, _first_line(node), f"{where[-1]} stands twice")
        lines[where] = _first_line(node)
    try:
        # Also for values that ignore unknown fields where they are stored.
        value = model.model_validate(content, extra="forbid")
    except ValidationError as exc:
        texts = []
        for error in exc.errors(include_input=False, include_url=False):
            where = tuple(error["loc"])
            texts.append(f"{path.name}:{_nearest(lines, where)}: {'.'.join(map(str, where))}: {error['msg']}")
        raise ConfigurationError("\n".join(texts)) from exc
    return YamlFile(path.name, text, value, lines)


def _nearest(lines: Mapping[Where, int], where: Where) -> int:
    while where not in lines:
        where = where[:-1]
    return lines[where]


def _parts(node: yaml.Node, where: Where) -> Iterator[tuple[Where, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*where, key.value), value
            yield from _parts(value, (*where, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*where, number), value
            yield from _parts(value, (*where, number))


def _first_line(node: yaml.Node) -> int:
    """Return the first line; a block text begins on the line after its `|`."""
    is_block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    return int(node.start_mark.line) + (2 if is_block else 1)
