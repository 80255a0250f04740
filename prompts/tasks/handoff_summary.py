"""Analysis: a summary for the person of the team who takes a conversation over."""

from contracts.analysis import HandoffSummary, Tone
from contracts.conversation import TaskName
from prompts.tasks.task import Schema, Task, enum, list_of, object_of, require, text
from prompts.tasks.transcript import CALL_TIMEOUT, AnalysisView, transcript_input


def schema(view: AnalysisView) -> Schema:
    fact = object_of({"name": enum(field.id for field in view.institution.fields), "value": text()})
    return object_of(
        {
            "person": text(),
            "wants": text(),
            "collected": list_of(fact),
            "promised": list_of(text()),
            "refused": list_of(text()),
            "open_questions": list_of(text()),
            "tone": enum(tone.value for tone in Tone),
        }
    )


def check(answer: str, view: AnalysisView) -> HandoffSummary:
    summary = HandoffSummary.model_validate_json(answer)
    known = all(view.institution.field(fact.name) is not None for fact in summary.collected)
    require(known, "collected may only name ids of the institution's fields")
    return summary


TASK = Task(
    name=TaskName.HANDOFF_SUMMARY,
    template="handoff_summary",
    answer=HandoffSummary,
    schema_name="handoff_summary",
    model_setting="model_analysis",
    input=transcript_input,
    schema=schema,
    check=check,
    call_timeout=CALL_TIMEOUT,
)
