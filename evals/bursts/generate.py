"""Timed Portuguese bursts of 2 to 10 bubbles, and single messages: `python evals/bursts/generate.py` writes both sets.

Gaps are what a person needs for the next bubble: a beat of thought, and the typing of its letters, at a pace of the
person's own (lognormal; median 7 letters a second: with suggested words about twice the 3 of typing alone, Palin et
al., MobileHCI 2019).
"""

import json
import random
from pathlib import Path
from typing import Any

SEED, BURSTS, SINGLES = 20261130, 1000, 1000
LONGEST_GAP_S = 7.6
MOSTLY_WITHIN_S, LONGER_RATIO = 11.5, 0.08

GREETINGS = [
    "oi",
    "Oi",
    "olá",
    "bom dia",
    "Bom dia!",
    "boa tarde",
    "oii",
    "oi, tudo bem?",
    "tudo bem?",
    "opa",
    "boa noite",
]
REQUESTS = [
    ["eu queria saber", "se vcs entregam", "em {city}", "{day}"],
    ["queria um orçamento", "de uma entrega", "de {city} pra {other}", "é {thing}"],
    ["preciso levar {thing}", "pra {city}", "{day}", "quanto tempo demora?"],
    ["tô com um problema", "na impressora da loja", "ela não liga desde ontem", "vcs atendem em {city}?"],
    ["meu nome é {name}", "sou da {company}", "a gente precisa de rota fixa", "pra {city} e {other}"],
    ["vocês fazem", "instalação de câmera", "em {city}?"],
    [
        "é o seguinte",
        "minha empresa tem uma planilha",
        "e a gente queria um sistema",
        "pra controlar os pedidos",
        "dá pra integrar?",
    ],
    ["queria conhecer o CRM", "quantos usuários", "cabem no plano"],
    ["tenho {thing}", "pra entregar", "em {city}", "mas só posso {day}", "vcs coletam aqui em {other}"],
    ["uma dúvida", "vocês trabalham sábado", "ou só durante a semana"],
    ["consegue ver pra mim", "o endereço de vcs", "aí em {city}"],
    ["a rede do escritório caiu", "já reiniciei tudo", "e nada", "vocês vêm hoje?"],
]
AFTERTHOUGHTS = [
    "é urgente",
    "obrigada",
    "desculpa a demora",
    "é pequeno, uns 2 kg",
    "pode ser de moto",
    "se der",
    "aguardo",
    "valeu",
]
CITIES = ["Valinhos", "Vinhedo", "Campinas", "Sumaré", "Paulínia", "Hortolândia", "Indaiatuba"]
DAYS = ["hoje", "amanhã cedo", "na sexta", "ainda hoje", "sábado de manhã"]
THINGS = ["uns documentos", "3 caixas pequenas", "um notebook", "um bolo lacrado", "exames"]
NAMES, COMPANIES = ["Ana", "Carlos", "Bia", "Rafael"], ["Padaria Sol", "Clínica Vida", "Ótica Central"]

SINGLE_QUESTIONS = [
    "Vocês entregam em {city} {day}?", "Qual o horário de atendimento de vocês?",
    "Quanto tempo demora uma entrega pra {city}?",
    "Vocês fazem instalação de rede em {city}?",
    "Onde fica o escritório de vocês?", "O CRM funciona no celular também?",
    "Bom dia, vocês levam {thing} pra {city}?", "Oi, gostaria de saber se atendem aos sábados em {city}.",
    "Preciso de um técnico para a impressora da minha loja em {city}.", "que horas vocês abrem amanhã",
    "quanto custa mandar {thing} pra {city}", "vocês atendem {city}", "como funciona a rota fixa",
]  # fmt: skip
SINGLE_SHORT = [
    "{city}",
    "sim",
    "meu nome é {name}",
    "{thing}",
    "a empresa é {company}",
    "pode ser {day}",
    "obrigado",
    "ok",
]
SINGLE_OPENINGS = ["oi", "bom dia", "boa tarde"]


def filled(text: str, chance: random.Random) -> str:
    city, other = chance.sample(CITIES, 2)
    words = {"city": city, "other": other, "day": DAYS, "thing": THINGS, "name": NAMES, "company": COMPANIES}
    return text.format(**{key: one if isinstance(one, str) else chance.choice(one) for key, one in words.items()})


def burst(number: int, chance: random.Random) -> dict[str, object]:
    pieces = list(chance.choice(REQUESTS))
    if chance.random() < 0.7:
        pieces = chance.sample(GREETINGS, 1 if chance.random() < 0.7 else 2) + pieces
    if chance.random() < 0.3:
        pieces += chance.sample(AFTERTHOUGHTS, chance.choice((1, 1, 2)))
    letters_a_second = chance.lognormvariate(1.95, 0.3)
    bubbles = list[dict[str, Any]]()
    for piece in pieces[: max(2, min(10, len(pieces)))]:
        text = filled(piece, chance)
        gap = chance.lognormvariate(-1.0, 0.5) + len(text) / letters_a_second * chance.uniform(0.6, 1.0)
        bubbles.append({"after_s": round(min(LONGEST_GAP_S, max(0.4, gap)), 2) if bubbles else 0.0, "text": text})
    total = sum(one["after_s"] for one in bubbles)
    if total > MOSTLY_WITHIN_S and chance.random() > LONGER_RATIO:
        # Who sends many bubbles sends them fast.
        for one in bubbles:
            one["after_s"] = round(one["after_s"] * MOSTLY_WITHIN_S / total, 2)
    return {"id": f"b{number:04}", "bubbles": bubbles}


def single(number: int, chance: random.Random) -> dict[str, object]:
    """A message that nothing follows: mostly a question, else an answer to ours, and now and then a greeting alone."""
    kind = chance.choices(("question", "answer", "opening"), (72, 25, 3))[0]
    texts = {"question": SINGLE_QUESTIONS, "answer": SINGLE_SHORT, "opening": SINGLE_OPENINGS}[kind]
    return {"id": f"s{number:04}", "kind": kind, "text": filled(chance.choice(texts), chance)}


def main() -> None:
    chance, folder = random.Random(SEED), Path(__file__).parent
    for name, rows in (
        ("bursts", [burst(number, chance) for number in range(BURSTS)]),
        ("singles", [single(number, chance) for number in range(SINGLES)]),
    ):
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
