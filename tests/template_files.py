"""Small templates and steps to make others of, and a folder that is read as the product reads its own."""

from collections.abc import Mapping
from pathlib import Path

from prompts.templating.registry import PromptRegistry
from prompts.templating.steps import StepLibrary

HEAD = "name: {name}\nversion: {version}\ndescription: d\n"
ROOT = "input: TurnInput\noutput: ResponseDraft\nsettings: {{max_tokens: 10}}\n"
GREETS = (HEAD + ROOT).format(name="x", version=1) + "system: |\n  {% block a %}A{% endblock %}\nuser: '{{ line }}'\n"
STEP = """name: greet
version: 1
description: d
parameters: [whom]
text: GREET {{ whom }}.
tests:
- {with: {whom: Ana}, gives: GREET Ana.}
"""


def read(folder: Path, files: Mapping[str, str], steps: Mapping[str, str] | None = None) -> PromptRegistry:
    for place, texts in ((folder / "templates", files), (folder / "steps", steps or {})):
        place.mkdir(exist_ok=True)
        for old in place.iterdir():
            old.unlink()
        for name, text in texts.items():
            (place / name).write_text(text, encoding="utf-8")
    return PromptRegistry.read(folder / "templates", steps=StepLibrary.read(folder / "steps"))


def child(version: int, parent: str, rest: str) -> str:
    return HEAD.format(name="x", version=version) + f"extends: {parent}\n{rest}"
