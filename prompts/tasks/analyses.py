"""The analyses of whole conversations: one prompt task each, asked in the background."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from contracts.analysis import AnalysisKind, ConversationReview, HandoffSummary, InterviewQuestion
from contracts.calls import Deadline
from contracts.conversation import Conversation, TaskName, Utterance
from contracts.errors import UnusableModelOutputError
from contracts.institution import Institution
from contracts.ports import ModelRequest, SystemBlock
from prompts.execution.executor import Executor
from prompts.execution.prompt_task import PromptTask, TaskResult, TurnClock
from prompts.request import escaped_json, line_text
from prompts.tasks import schemas
from prompts.templating.inputs import TranscriptInput
from prompts.templating.registry import PromptTemplate
from prompts.templating.versions import PromptVersions

Result = HandoffSummary | ConversationReview | InterviewQuestion

LAST_UTTERANCES = 200
UTTERANCE_CHARACTERS = 4_000
HISTORY_CHARACTERS = 60_000
# Nobody waits in the chat: a whole conversation may be thought about for longer than a turn.
CALL_TIMEOUT = timedelta(seconds=40)
BUDGET = timedelta(seconds=60)


@dataclass(frozen=True)
class AnalysisView:
    """What an analysis may know: the head, and everything that was said, oldest first."""

    institution: Institution
    conversation: Conversation
    transcript: Sequence[Utterance]

    @property
    def askable_fields(self) -> list[str]:
        """A field is asked for once: neither when it is known nor when it was asked before."""
        head = self.conversation
        known = {*head.fields, *head.asked_fields, *(["name"] if head.person_name else [])}
        return [field.id for field in self.institution.fields if field.id not in known]


class Analyst:
    """Asks the model about a whole conversation. Holds no state of one."""

    def __init__(
        self, executor: Executor, versions: PromptVersions, model: str, *, monotonic: Callable[[], float]
    ) -> None:
        self._executor = executor
        self._monotonic = monotonic
        self.model = model
        self._templates = {kind: versions.for_everybody(kind.value) for kind in AnalysisKind}

    def label(self, kind: AnalysisKind) -> str:
        return self._templates[kind].label

    async def write(self, kind: AnalysisKind, view: AnalysisView) -> TaskResult[Result]:
        """Ask, check, repair once, retry within the budget; a value, or the error after all that."""
        template = self._templates[kind]
        task = PromptTask(
            name=TaskName(kind.value),
            template=template.label,
            request=analysis_request(template, kind, view, model=self.model),
            check=lambda text: check_result(kind, text, view),
        )
        return await self._executor.run(task, TurnClock(self._monotonic(), Deadline(BUDGET, self._monotonic)))


def analysis_request(template: PromptTemplate, kind: AnalysisKind, view: AnalysisView, *, model: str) -> ModelRequest:
    """Institution, then task, then conversation: the first bytes are those of the turns."""
    line = view.institution.line(view.conversation.business_line)
    return ModelRequest(
        model=model,
        system=(
            SystemBlock(text=view.institution.prompt_core, cached=True),
            SystemBlock(text=template.system, cached=True),
        ),
        user=template.render_user(TranscriptInput(line=line_text(line), conversation=transcript_json(kind, view))),
        schema_name=kind.value,
        output_schema=_schema(kind, view),
        max_tokens=template.settings.max_tokens,
        timeout=CALL_TIMEOUT,
    )


def check_result(kind: AnalysisKind, text: str, view: AnalysisView) -> Result:
    """Parse the answer and hold it against the institution.

    Raises:
        ValidationError: it is not of the schema's shape.
        UnusableModelOutputError: it names a field that the institution does not have, or that may not be asked for.
    """
    match kind:
        case AnalysisKind.CONVERSATION_REVIEW:
            return ConversationReview.model_validate_json(text)
        case AnalysisKind.INTERVIEW_QUESTION:
            return _checked_question(InterviewQuestion.model_validate_json(text), view)
        case AnalysisKind.HANDOFF_SUMMARY:
            return _checked_summary(HandoffSummary.model_validate_json(text), view)


def _checked_summary(summary: HandoffSummary, view: AnalysisView) -> HandoffSummary:
    if any(view.institution.field(fact.name) is None for fact in summary.collected):
        raise UnusableModelOutputError("collected may only name ids of the institution's fields")
    return summary


def _checked_question(asked: InterviewQuestion, view: AnalysisView) -> InterviewQuestion:
    if asked.field is not None and asked.field not in view.askable_fields:
        raise UnusableModelOutputError("field must be one of askable_fields or null")
    if (asked.field is None) != (asked.question.strip() == ""):
        raise UnusableModelOutputError("question is empty when field is null, and only then")
    return asked


def transcript_json(kind: AnalysisKind, view: AnalysisView) -> str:
    """The conversation as one line of JSON in which no text of a person can close the tag around it.

    A very long one is shortened at its beginning; `omitted` counts what is left out.
    """
    conversation = view.conversation
    said = _newest(view.transcript)
    content: dict[str, Any] = {
        "business_line": conversation.business_line,
        "channel": conversation.address.channel.value if conversation.address else None,
        "episode": conversation.episode,
        "fields": conversation.fields,
        "history": said,
        "intent": conversation.intent,
        "omitted": len(view.transcript) - len(said),
        "person_name": conversation.person_name,
        "previous_episodes": [
            {"business_line": ended.business_line, "ended_at": ended.ended_at.isoformat(), "state": ended.state.value}
            for ended in conversation.previous_episodes
        ],
        "state": conversation.state.value,
        "waiting_for": conversation.waiting_for.value,
    }
    if kind is AnalysisKind.INTERVIEW_QUESTION:
        content["askable_fields"] = view.askable_fields
    return escaped_json(content)


def _newest(transcript: Sequence[Utterance]) -> list[dict[str, Any]]:
    """What was said last, as much as there is room for, oldest first."""
    kept: list[dict[str, Any]] = []
    room = HISTORY_CHARACTERS
    for said in reversed(transcript[-LAST_UTTERANCES:]):
        text = said.text[:UTTERANCE_CHARACTERS]
        room -= len(text)
        if room < 0:
            break
        kept.append(
            {
                "at": said.at.isoformat(timespec="seconds"),
                "options": list(said.options),
                "speaker": said.speaker.value,
                "text": text,
            }
        )
    return kept[::-1]


def _schema(kind: AnalysisKind, view: AnalysisView) -> dict[str, Any]:
    match kind:
        case AnalysisKind.CONVERSATION_REVIEW:
            return schemas.review_schema()
        case AnalysisKind.INTERVIEW_QUESTION:
            return schemas.question_schema(askable=view.askable_fields)
        case AnalysisKind.HANDOFF_SUMMARY:
            return schemas.summary_schema(fields=[field.id for field in view.institution.fields])
