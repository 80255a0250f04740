"""Analysis: the next question for a field that is still missing."""

from contracts.analysis import InterviewQuestion
from contracts.conversation import TaskName
from prompts.tasks.task import Schema, Task, enum_or_null, object_of, require, text
from prompts.tasks.transcript import CALL_TIMEOUT, AnalysisView, transcript_input


def schema(view: AnalysisView) -> Schema:
    return object_of({"field": enum_or_null(view.askable_fields), "question": text("plain text")})


def check(answer: str, view: AnalysisView) -> InterviewQuestion:
    asked = InterviewQuestion.model_validate_json(answer)
    require(asked.field is None or asked.field in view.askable_fields, "field must be one of askable_fields or null")
    is_empty = asked.question.strip() == ""
    require((asked.field is None) == is_empty, "question is empty when field is null, and only then")
    return asked


TASK = Task(
    name=TaskName.INTERVIEW_QUESTION,
    template="interview_question",
    answer=InterviewQuestion,
    schema_name="interview_question",
    model_setting="model_analysis",
    input=lambda view: transcript_input(view, askable_fields=view.askable_fields),
    schema=schema,
    check=check,
    call_timeout=CALL_TIMEOUT,
)
