"""Analysis: how well a conversation was answered."""

from contracts.analysis import Answered, ConversationReview, Sentiment
from contracts.conversation import TaskName
from prompts.tasks.task import Schema, Task, enum, list_of, object_of, text
from prompts.tasks.transcript import CALL_TIMEOUT, AnalysisView, transcript_input


def schema(_view: AnalysisView) -> Schema:
    return object_of(
        {
            "answered": enum(answered.value for answered in Answered),
            "sentiment": enum(sentiment.value for sentiment in Sentiment),
            "assessment": text(),
            "unresolved_needs": list_of(text()),
            "taxonomy_gaps": list_of(object_of({"need": text(), "suggestion": text()})),
        }
    )


def check(answer: str, _view: AnalysisView) -> ConversationReview:
    return ConversationReview.model_validate_json(answer)


TASK = Task(
    name=TaskName.CONVERSATION_REVIEW,
    template="conversation_review",
    answer=ConversationReview,
    schema_name="conversation_review",
    model_setting="model_analysis",
    input=transcript_input,
    schema=schema,
    check=check,
    call_timeout=CALL_TIMEOUT,
)
