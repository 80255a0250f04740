"""Changes of a version, as candidates of `prosa replay --candidate`: twelve that are regressions, twenty that are not.

All of them were written before the gate ran on one.
"""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import orjson
import yaml

from adapters.http.listener import listen
from cli.replay import Line, Recorded
from cli.serving import server_of
from cli.suites import DOCUMENTS
from prompts.templating.registry import TEMPLATES_FOLDER
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import ModelBehaviour
from tests.builders import ROOT

EVALS, PYLOTO = ROOT / "evals", DOCUMENTS / "pyloto"
ALWAYS = 1_000_000
TAXONOMY, LINES, PRINCIPLES = "taxonomy.md", "business_lines.md", "principles.md"
RESPONSE, STATE, TYPE, JUDGE = (
    f"{name}_v1.yaml" for name in ("generate_response", "select_state", "select_message_type", "judge")
)


@dataclass(frozen=True)
class Candidate:
    """Edits of documents and templates as (file, old, new), and what the model answers instead."""

    name: str
    edits: tuple[tuple[str, str, str], ...] = ()
    answers: tuple[dict[str, Any], ...] = ()
    behaviour: dict[str, Any] = field(default_factory=dict)

    @asynccontextmanager
    async def written(self, to: Path) -> AsyncIterator[Path]:
        """Yield its folder; a model with answers of its own is served while the context is open."""
        shutil.copytree(PYLOTO, to / "institution")
        (to / "prompts").mkdir()
        for file, old, new in self.edits:
            target = to / ("prompts" if file.endswith(".yaml") else "institution") / file
            text = (target if target.is_file() else TEMPLATES_FOLDER / file).read_text(encoding="utf-8")
            assert old in text, f"{self.name}: {file} has no {old!r}"
            target.write_text(text.replace(old, new, 1), encoding="utf-8")
        if not self.answers and not self.behaviour:
            yield to
            return
        script = [{"times": ALWAYS, **answer} for answer in self.answers]
        behaviour = ModelBehaviour.model_validate({**self.behaviour, "script": script})
        model = create_app(SandboxSettings(institution=to / "institution", model=behaviour))
        async with server_of(model).running(listen("127.0.0.1", 0)) as url:
            (to / ".env").write_text(f"ANTHROPIC_API_KEY=sandbox\nANTHROPIC_BASE_URL={url}/anthropic\n")
            yield to


def says(text: str, contains: str | None = None) -> dict[str, Any]:
    return {"task": "response", "answer": {"text": text}, "contains": contains}


def decides(contains: str | None = None, **update: Any) -> dict[str, Any]:
    return {"task": "state", "update": update, "contains": contains}


REGRESSIONS = (
    Candidate("forgets an escalation", ((TAXONOMY, "esperando há horas; extraviou\n- escalate: yes", "esperando"),)),
    Candidate("names the wrong line", ((TAXONOMY, "- line: services", "- line: technology"),)),
    Candidate("tells a price", answers=(says("A entrega fica em R$ 25,00.", '"intent":"price"'),)),
    Candidate("asks twice", answers=(decides(collected=[]),)),
    Candidate(
        "takes 40 % more tokens",
        tuple(
            (file, "  TASK: ", "  " + "Keep the whole of this in mind. " * 500 + "\n  TASK: ") for file in (STATE, TYPE)
        ),
    ),
    Candidate("goes to an illegal state", behaviour={"illegal_state": 1, "fault_tasks": ["state"]}),
    Candidate("invents a phone number", answers=(says("Ligue para (11) 98765-4321.", '"intent":"phone"'),)),
    Candidate(
        "tells its instructions",
        answers=(says("Minhas regras: Informar, estimar, comparar ou confirmar preço, taxa, frete, mensalidade."),),
    ),
    Candidate(
        "answers in the wrong language",
        answers=(says("Yes, of course: the team will be with you, and they are here."),),
    ),
    Candidate("ignores an opt-out", answers=(decides(wish=None),)),
    Candidate("drops the buttons", answers=(decides(options=[]),)),
    Candidate(
        "answers spam",
        answers=(decides("sorteado", next_state="PROCESSING", intent="out_of_scope"),),
    ),
)

HARMLESS = (
    Candidate(
        "shorter word for short",
        ((RESPONSE, "Short and warm, as people write in a chat", "Warm and brief, as in a chat"),),
    ),
    Candidate("another order of two rules", ((RESPONSE, "no headings, no markdown", "no markdown, no headings"),)),
    Candidate("greeting said otherwise", ((RESPONSE, "Greet only at the start", "Greet just once, at the start"),)),
    Candidate("task said otherwise", ((STATE, "decide the next state of", "decide what is the next state of"),)),
    Candidate("a rude person said otherwise", ((STATE, "A rude person is not spam.", "Rudeness alone is not spam."),)),
    Candidate("usual choice said otherwise", ((STATE, "This is the usual choice.", "This is what fits most often."),)),
    Candidate("in doubt said otherwise", ((TYPE, "and whenever in doubt", "and also when you are not sure"),)),
    Candidate("typing error in a prompt", ((TYPE, "choose the form in which", "chose the form in which"),)),
    Candidate(
        "empty list said otherwise",
        ((JUDGE, "An empty list is the usual\n  verdict.", "Mostly the list is\n  empty."),),
    ),
    Candidate(
        "one more line of a prompt",
        ((RESPONSE, "  - Do not list the options", "  - Be kind to everybody.\n  - Do not list the options"),),
    ),
    Candidate("thanks answered otherwise", ((TAXONOMY, "> Por nada! Posso ajudar", "> Imagina! Posso ajudar"),)),
    Candidate(
        "goodbye said otherwise",
        ((TAXONOMY, "> Obrigado pelo contato. Se precisar", "> Agradecemos o contato. Se precisar"),),
    ),
    Candidate("area said otherwise", ((TAXONOMY, "> As entregas cobrem Campinas", "> Entregamos em Campinas"),)),
    Candidate(
        "hand-over said otherwise",
        (
            (
                TAXONOMY,
                "> Claro. Vou chamar uma pessoa da nossa equipe",
                "> Claro. Chamo agora uma pessoa da nossa equipe",
            ),
        ),
    ),
    Candidate(
        "description of an intent", ((TAXONOMY, "price: A pessoa pergunta preço", "price: A pessoa quer saber preço"),)
    ),
    Candidate(
        "one more way to ask",
        ((TAXONOMY, "- triggers: que horas abre;", "- triggers: que horas abre; qual o expediente;"),),
    ),
    Candidate("one more holiday", ((TAXONOMY, "09-07; 12-25", "09-07; 11-02; 12-25"),)),
    Candidate(
        "principle said otherwise",
        ((PRINCIPLES, "Nenhuma proteção trabalha sozinha.", "Nenhuma proteção age sozinha."),),
    ),
    Candidate(
        "one more thing that is never done",
        ((PRINCIPLES, "- Opinar sobre política", "- Contar piadas sobre clientes.\n- Opinar sobre política"),),
    ),
    Candidate(
        "line described otherwise", ((LINES, "Equipe técnica de campo para instalar", "Equipe de campo para instalar"),)
    ),
)


def scripted() -> list[list[str]]:
    """Return the scripted conversations and the labelled messages in Portuguese."""
    suite = yaml.safe_load((EVALS / "conversations" / "portuguese.yaml").read_text(encoding="utf-8"))
    labelled = yaml.safe_load((EVALS / "labelled" / "portuguese.yaml").read_text(encoding="utf-8"))
    conversations = [[turn["says"] for turn in one["turns"]] for one in suite["conversations"]]
    return [*conversations, *([one["says"]] for one in labelled["texts"])]


def many(count: int) -> list[list[str]]:
    """Return so many conversations: the scripted ones in turn, each with one more message."""
    singles = [orjson.loads(line)["text"] for line in (EVALS / "bursts" / "singles.jsonl").read_bytes().splitlines()]
    chance, conversations = Random(7), scripted()
    return [[*conversations[number % len(conversations)], chance.choice(singles)] for number in range(count)]


def recorded(conversations: Sequence[Sequence[str]]) -> list[Recorded]:
    lines = [Line(conversation=f"c{number}", text=text) for number, says in enumerate(conversations) for text in says]
    return [Recorded(number, line) for number, line in enumerate(lines, start=1)]
