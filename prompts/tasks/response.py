"""Task 2: the words of the reply.

When it fails, the canonical answer of the intent is sent; without one a person is called (`worker/reply.py`).
"""

from contracts.conversation import TaskName
from contracts.decisions import ResponseDraft
from prompts.execution.quality import Scores, response_scores
from prompts.language import base_language, likely_language
from prompts.request import TurnView, turn_input
from prompts.tasks.json_schema import Schema, object_of, text
from prompts.tasks.task import Task


def schema(_view: TurnView) -> Schema:
    return object_of({"text": text("the reply, plain text")})


def check(answer: str, _view: TurnView) -> ResponseDraft:
    return ResponseDraft.model_validate_json(answer)


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
    schema=schema,
    check=check,
    scores=scores,
    gated=True,
)
