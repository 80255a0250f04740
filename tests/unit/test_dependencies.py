"""What the code imports is declared, what is declared is imported, and of libraries only their public modules."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distribution, packages_distributions
from itertools import accumulate

import pytest

from tests.builders import ROOT

PRODUCT = (
    "adapters", "cli", "context", "contracts", "flags", "fsm", "observability", "prompts", "reports", "sandbox",
    "webhook", "worker",
)  # fmt: skip
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOT_IMPORTED = {
    "tzdata": "the time zones of zoneinfo where the system has none",
}


def imports() -> Iterator[tuple[str, str, int]]:
    """Every module of others that product code imports, `a.b.name` for `from a.b import name`; its file and line."""
    for package in PRODUCT:
        for path in (ROOT / package).rglob("*.py"):
            where = str(path.relative_to(ROOT))
            for node in ast.walk(ast.parse(path.read_bytes())):
                match node:
                    case ast.Import(names):
                        names_of_node = [alias.name for alias in names]
                    case ast.ImportFrom(module=str(module), names=names, level=0):
                        names_of_node = [f"{module}.{alias.name}" for alias in names]
                    case _:
                        continue
                yield from (
                    (name, where, node.lineno)
                    for name in names_of_node
                    if name.split(".")[0] not in {*sys.stdlib_module_names, *PRODUCT}
                )


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def files_of(name: str) -> frozenset[str]:
    return frozenset(str(file) for file in distribution(name).files or ())


@cache
def provider(module: str) -> str:
    """The distribution that a module comes from; of those that share a namespace, the one with its file."""
    candidates = packages_distributions().get(module.split(".")[0], [])
    if len(set(candidates)) == 1:
        return normal(candidates[0])
    for path in reversed(list(accumulate(module.split("."), "{}/{}".format))):
        for name in candidates:
            if {f"{path}.py", f"{path}/__init__.py"} & files_of(name):
                return normal(name)
    pytest.fail(f"{module} comes from no distribution that is installed")


def declared() -> set[str]:
    extras = PROJECT["optional-dependencies"].values()
    requirements = [*PROJECT["dependencies"], *(one for extra in extras for one in extra)]
    return {normal(re.split(r"[\[<>=!~ ;]", one, maxsplit=1)[0]) for one in requirements}


def test_what_is_imported_is_declared() -> None:
    """An import that comes along with something else ends with a release of that."""
    missing = {(provider(name), where, line) for name, where, line in imports() if provider(name) not in declared()}
    assert not missing


def test_what_is_declared_is_imported() -> None:
    used = {provider(name) for name, _, _ in imports()}
    assert declared() - used == set(NOT_IMPORTED)


def test_no_private_module_of_a_library_is_imported() -> None:
    private = [one for one in imports() if any(part.startswith("_") for part in one[0].split("."))]
    assert not private
