"""Text with expressions, parsed strictly: a mistake is found at the start, with its file and line."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from jinja2 import Environment, StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from contracts.errors import ConfigurationError
from contracts.yaml_file import problem

# Errors of rendering: the library's own, and those of an expression that divides by zero or adds text to a number.
RENDERING_ERRORS = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError)


def strict_environment() -> ImmutableSandboxedEnvironment:
    """Return an environment without undefined values, mutation, chance or time."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, auto_reload=False)
    environment.globals.clear()
    environment.filters.pop("random")
    return environment


@dataclass(frozen=True)
class StepCall:
    """`{{ step("name", parameter="value") }}` in a text. `parameters` is None when only rendering decides them."""

    name: str
    parameters: frozenset[str] | None
    line: int


@dataclass(frozen=True)
class StrictText:
    """Text of a YAML file. `line` is its first line there; `chain` is the template and its ancestors."""

    file: str
    line: int
    text: str
    chain: str = ""

    @property
    def source(self) -> str:
        """The text after empty lines in a comment: the library then counts lines as the file does."""
        return "{#" + "\n" * (self.line - 1) + "#}" + self.text.rstrip()

    def parse(self, environment: Environment) -> nodes.Template:
        """Parse the text.

        Raises:
            ConfigurationError: it is not well formed, or includes text by another way than `extends:` and `step()`.
        """
        try:
            parsed = environment.parse(self.source)
        except TemplateSyntaxError as exc:
            raise self.problem(exc.message or "syntax error", exc.lineno) from exc
        for taken in parsed.find_all((nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)):
            raise self.problem("a text takes in another by extends: or by step() alone", taken.lineno)
        return parsed

    def refuse_unknown(self, parsed: nodes.Template, known: Collection[str], instead: str) -> None:
        """Check the names of the text; `instead` is the advice of the error.

        Raises:
            ConfigurationError: a value, filter or attribute does not exist.
        """
        try:
            named = meta.find_undeclared_variables(parsed)
        except TemplateSyntaxError as exc:
            raise self.problem(exc.message or "syntax error", exc.lineno) from exc
        for name in sorted(named - set(known)):
            line = next((each.lineno for each in parsed.find_all(nodes.Name) if each.name == name), self.line)
            raise self.problem(f"there is no '{name}': {instead}", line)
        for part in parsed.find_all(nodes.Getattr):
            if isinstance(part.node, nodes.Name) and part.node.name in known and not hasattr(str, part.attr):
                raise self.problem(f"'{part.node.name}' is text and has no '{part.attr}'", part.lineno)

    def step_calls(self, parsed: nodes.Template) -> Iterator[StepCall]:
        """Find the calls of steps. Raises ConfigurationError: a step's name is not a literal."""
        for call in parsed.find_all(nodes.Call):
            if not isinstance(call.node, nodes.Name) or call.node.name != "step":
                continue
            names = [each.value for each in call.args if isinstance(each, nodes.Const)]
            if len(names) != 1 or len(call.args) != 1 or not isinstance(names[0], str):
                raise self.problem('write step("name", parameter="value")', call.lineno)
            dynamic = call.dyn_kwargs is not None or call.dyn_args is not None
            yield StepCall(
                names[0], None if dynamic else frozenset(keyword.key for keyword in call.kwargs), call.lineno
            )

    def problem(self, text: str, line: int | None = None) -> ConfigurationError:
        return problem(self.file, line or self.line, text, chain=self.chain)


def blocks_of(parsed: nodes.Template) -> list[nodes.Block]:
    return list(parsed.find_all(nodes.Block))


def place_of(exc: BaseException, file: str, line: int) -> tuple[str, int]:
    """Return file and line of the YAML at which rendering failed, from the traceback; else those that were given."""
    traceback = exc.__traceback__
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if name.endswith(".yaml"):
            file, line = name, traceback.tb_lineno
        traceback = traceback.tb_next
    return file, line
