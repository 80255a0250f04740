"""Inheritance of templates: one parent each, whose blocks they change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jinja2 import Environment, nodes

from contracts.yaml_file import YamlFile
from prompts.templating.source import TemplateSource
from prompts.templating.strict_text import StrictText, blocks_of

Part = Literal["system", "user"]
PARTS: tuple[Part, ...] = ("system", "user")
TemplateFile = YamlFile[TemplateSource]


@dataclass(frozen=True)
class Lineage:
    """Template and its ancestors, itself first."""

    members: tuple[TemplateFile, ...]

    @property
    def own(self) -> TemplateFile:
        return self.members[0]

    @property
    def root(self) -> TemplateFile:
        return self.members[-1]

    @property
    def chain(self) -> str:
        return " -> ".join(member.value.key for member in self.members)

    def nearest(self, what: str) -> tuple[TemplateFile, Any] | None:
        """Return the value of that key in the template or its nearest ancestor, with the file that has it."""
        for member in self.members:
            said = getattr(member.value, what)
            if said is not None:
                return member, said
        return None


def lineage(key: str, files: Mapping[str, TemplateFile]) -> Lineage:
    """Follow `extends:` to the end.

    Raises:
        ConfigurationError: a parent is missing, or a template comes back to itself.
    """
    members = [files[key]]
    seen = [key]
    while (parent := members[-1].value.extends) is not None:
        chain = " -> ".join((*seen, parent))
        if parent not in files:
            known = ", ".join(sorted(files))
            raise members[-1].problem(f"there is no template {parent}; there are: {known}", "extends", chain=chain)
        if parent in seen:
            raise members[-1].problem(f"{key} extends itself", "extends", chain=chain)
        seen.append(parent)
        members.append(files[parent])
    return Lineage(tuple(members))


@dataclass
class Inherited:
    """Text of one template, part by part: that of its root, and every block that a descendant changed.

    `sources` are Jinja sources by name, `parsed` the texts they are built from.
    """

    sources: dict[str, str] = field(default_factory=dict)
    parsed: dict[Part, list[tuple[StrictText, nodes.Template]]] = field(default_factory=dict)


def source_name(key: str, part: Part) -> str:
    return f"{key}:{part}"


def inherit(line: Lineage, environment: Environment) -> Inherited:
    """Turn a lineage into sources for Jinja's own `extends` and blocks.

    Raises:
        ConfigurationError: a text is missing, is not well formed, or changes a block that no ancestor has.
    """
    inherited = Inherited()
    owner: dict[str, Part] = {}
    root = line.root
    if root.value.blocks:
        raise root.problem("blocks are for a template that extends another", "blocks", chain=line.chain)
    for part in PARTS:
        words = getattr(root.value, part)
        if words is None:
            raise root.problem(f"'{part}' is missing", chain=line.chain)
        text = StrictText(root.name, root.line(part), words, line.chain)
        parsed = text.parse(environment)
        for block in blocks_of(parsed):
            if block.name in owner:
                raise text.problem(f"the block '{block.name}' is in both parts", block.lineno)
            owner[block.name] = part
        inherited.parsed[part] = [(text, parsed)]
        inherited.sources[source_name(root.value.key, part)] = text.source
    for member in reversed(line.members[:-1]):
        _add_member(member, line, environment, inherited, owner)
    return inherited


def _add_member(
    member: TemplateFile, line: Lineage, environment: Environment, inherited: Inherited, owner: dict[str, Part]
) -> None:
    for part in PARTS:
        if getattr(member.value, part) is not None:
            raise member.problem(
                f"a template that extends another changes its blocks and has no '{part}'", part, chain=line.chain
            )
    changed: dict[Part, list[tuple[str, StrictText]]] = {part: [] for part in PARTS}
    known = dict(owner)
    for name, words in member.value.blocks.items():
        text = StrictText(member.name, member.line("blocks", name), words, line.chain)
        if name not in known:
            blocks = ", ".join(sorted(known)) or "none"
            raise text.problem(f"no template above has a block '{name}'; there are: {blocks}")
        parsed = text.parse(environment)
        for block in blocks_of(parsed):
            if owner.setdefault(block.name, known[name]) != known[name]:
                raise text.problem(f"the block '{block.name}' is in both parts", block.lineno)
        inherited.parsed[known[name]].append((text, parsed))
        changed[known[name]].append((name, text))
    for part in PARTS:
        source, at = f'{{% extends "{source_name(str(member.value.extends), part)}" %}}', 1
        # The blocks in the order of the file, each on its line there.
        for name, text in sorted(changed[part], key=lambda each: each[1].line):
            words = text.text.rstrip()
            source += "\n" * max(0, text.line - at) + f"{{% block {name} %}}{words}{{% endblock %}}"
            at = max(at, text.line) + words.count("\n")
        inherited.sources[source_name(member.value.key, part)] = source
