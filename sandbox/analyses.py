"""Plain analyses of a conversation, by counting and copying: what a double can know of it without understanding."""

from functools import partial
from typing import Any

from contracts.analysis import Answered, Sentiment, Tone
from contracts.conversation import State
from contracts.institution import FixedText, Institution
from sandbox.language import family, fold
from sandbox.prompted import Prompted, Said
from sandbox.signs import shows
from sandbox.vocabulary import VOCABULARY

_QUOTED = 300
_LISTED = 5


def summary_of(prompted: Prompted, institution: Institution) -> dict[str, Any]:
    """A hand-off summary."""
    words = VOCABULARY.analysis[family(institution.language)]
    asked = _of_person(prompted)
    name = prompted.fields.get("name") or prompted.person_name or words["somebody"]
    company = prompted.fields.get("company")
    wants = " / ".join(asked[-3:])[:_QUOTED] or words["nothing"]
    if intent := institution.intent(prompted.intent):
        wants += words["about"].format(about=intent.id)
    if any(map(partial(shows, "trickery"), asked)):
        wants += words["trickery"]
    return {
        "person": f"{name}, {company}" if company else name,
        "wants": wants,
        "collected": [
            {"name": field, "value": value} for field, value in prompted.fields.items() if institution.field(field)
        ],
        "promised": [],
        "refused": [words["refused"].format(text=text) for text in asked if _has(text, VOCABULARY.price)][:_LISTED],
        "open_questions": _open_questions(prompted),
        "tone": _tone(asked[-3:]),
    }


def review_of(prompted: Prompted, institution: Institution) -> dict[str, Any]:
    """A review: a reply that asked what was meant counts as a need that has no intent."""
    words = VOCABULARY.analysis[family(institution.language)]
    asked = _of_person(prompted)
    clarify, unclear, last = fold(institution.text(FixedText.CLARIFY)), [], ""
    for said in prompted.history:
        if said.speaker == "person":
            last = _line(said)
        elif last and clarify in fold(said.text):
            unclear.append(last)
    unclear = unclear[:_LISTED]
    waits = prompted.state in (State.ESCALATING, State.FAILED)
    tone = _tone(asked[-3:])
    intent = institution.intent(prompted.intent)
    sentiment = {Tone.FRIENDLY: Sentiment.POSITIVE, Tone.CALM: Sentiment.NEUTRAL}.get(tone, Sentiment.NEGATIVE)
    answered = Answered.PARTLY if unclear or waits else Answered.YES
    return {
        "answered": answered if prompted.replies else Answered.NO,
        "sentiment": sentiment,
        "assessment": words["assessment"].format(
            said=len(asked), replies=len(prompted.replies), about=intent.id if intent else words["unknown"]
        ),
        "unresolved_needs": unclear,
        "taxonomy_gaps": [{"need": text, "suggestion": words["suggestion"].format(text=text)} for text in unclear],
    }


def question_of(prompted: Prompted, institution: Institution) -> dict[str, Any]:
    """The institution's own question for the first field that the intent needs and that may still be asked for."""
    intent = institution.intent(prompted.intent)
    askable = prompted.askable_fields or ()
    wanted = [name for name in (intent.fields if intent else ()) if name in askable]
    field = institution.field(next(iter(wanted or askable), ""))
    return {"field": field.id, "question": field.question} if field else {"field": None, "question": ""}


def _of_person(prompted: Prompted) -> list[str]:
    return [_line(said) for said in prompted.history if said.speaker == "person" and said.text.strip()]


def _line(said: Said) -> str:
    return " ".join(said.text.split())[:_QUOTED]


def _open_questions(prompted: Prompted) -> list[str]:
    """The person's questions since the last reply, else the question that this ended with."""
    since: list[str] = []
    for said in reversed(prompted.history):
        if said.speaker != "person":
            return since[::-1][-_LISTED:] or ([_line(said)] if said.text.rstrip().endswith("?") else [])
        if "?" in said.text:
            since.append(_line(said))
    return since[::-1][-_LISTED:]


def _tone(texts: list[str]) -> Tone:
    if any(map(partial(shows, "distress"), texts)):
        return Tone.DISTRESSED
    for tone, signs in VOCABULARY.tones.items():
        if any(_has(text, signs) for text in texts):
            return tone
    return Tone.CALM


def _has(text: str, signs: tuple[str, ...]) -> bool:
    plain = fold(text)
    return any(sign in plain for sign in signs)
