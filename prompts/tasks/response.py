"""Task 2: the words of the reply.

When it fails, the canonical answer of the intent is sent; without one a person is called (`worker/pipeline.py`).
"""

from operator import attrgetter

from contracts.conversation import TaskName
from contracts.decisions import ResponseDraft
from contracts.guardrails import PartKind
from contracts.language import base_language, likely_language
from prompts.execution.quality import Scores, response_scores
from prompts.request import TurnView, turn_input
from prompts.tasks.task import Schema, Task, enum, list_of, object_of, require, text

UNSEEN = ("text.", "said.")
"""Beginnings of the ids of fixed texts and translations, which no prompt shows."""


def schema(view: TurnView) -> Schema:
    """Return the one schema of an institution's version: kinds of parts, and the ids that a part may cite.

    Sources come before the text, so that a text can be checked while it forms.
    """
    ids = [passage.id for passage in view.institution.passages if not passage.id.startswith(UNSEEN)]
    part = {
        "says": enum(kind.value for kind in PartKind),
        "from": list_of(enum(ids) if ids else text()),
        "text": text(),
    }
    return object_of({"parts": list_of(object_of(part))})


def check(answer: str, view: TurnView) -> ResponseDraft:
    """Parse the answer and hold its sources against the institution.

    Raises:
        ValidationError: it does not have the schema's shape.
        UnusableModelOutputError: a part that informs cites no passage, or one cites what is not there.
    """
    draft = ResponseDraft.model_validate_json(answer)
    known = {passage.id for passage in view.institution.passages}
    require(all(known.issuperset(part.sources) for part in draft.parts), "from may only name ids of passages")
    uncited = any(part.says is PartKind.INFORM and not part.sources for part in draft.parts)
    require(not uncited, "a part that says inform names in from the passages that it relies on")
    return draft


def scores(draft: ResponseDraft, view: TurnView) -> Scores:
    """Score length and language: the institution's own language, or the one that the person has just written in."""
    written = likely_language(" ".join(message.text for message in view.messages))
    fitting = frozenset({base_language(view.institution.language), *([written] if written else [])})
    return response_scores(draft, languages=fitting)


TASK = Task(
    name=TaskName.RESPONSE,
    template="generate_response",
    answer=ResponseDraft,
    schema_name="response_draft",
    model_setting="model_response",
    input=turn_input,
    files=attrgetter("files"),
    schema=schema,
    check=check,
    scores=scores,
    gated=True,
)
