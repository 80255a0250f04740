"""The view of an analysis: a whole conversation, as one line of JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from contracts.conversation import Conversation, Utterance
from contracts.institution import Institution
from contracts.values import shortened
from prompts.request import escaped_json, file_marks, line_text
from prompts.templating.source import TranscriptInput

LAST_UTTERANCES = 200
UTTERANCE_CHARACTERS = 4_000
HISTORY_CHARACTERS = 60_000
# In the background a call about a whole conversation may take longer than one of a turn.
CALL_TIMEOUT = timedelta(seconds=40)


@dataclass(frozen=True)
class AnalysisView:
    """All that an analysis may know: the head of the conversation, and its utterances, oldest first."""

    institution: Institution
    conversation: Conversation
    transcript: Sequence[Utterance]

    @property
    def askable_fields(self) -> list[str]:
        """Ids of the fields that are neither known nor were asked before: a field is asked for once."""
        head = self.conversation
        known = {*head.fields, *head.asked_fields, *(["name"] if head.person_name else [])}
        return [field.id for field in self.institution.fields if field.id not in known]


def transcript_input(view: AnalysisView, **more: Any) -> TranscriptInput:
    """Return the business line in question, and the conversation as one line of JSON, with `more` keys.

    No text of a person can close the tag around it. A very long conversation is shortened at its beginning; `omitted`
    counts the utterances that are left out.
    """
    conversation = view.conversation
    said = _newest(view.transcript)
    content = escaped_json(
        {
            "business_line": conversation.business_line,
            "channel": conversation.address.channel.value if conversation.address else None,
            "episode": conversation.episode,
            "fields": conversation.fields,
            "history": said,
            "intent": conversation.intent,
            "omitted": len(view.transcript) - len(said),
            "person_name": conversation.person_name,
            "previous_episodes": [
                {"business_line": one.business_line, "ended_at": one.ended_at.isoformat(), "state": one.state.value}
                for one in conversation.previous_episodes
            ],
            "state": conversation.state.value,
            "waiting_for": conversation.waiting_for.value,
            **more,
        }
    )
    return TranscriptInput(line=line_text(view.institution, conversation.business_line), conversation=content)


def _newest(transcript: Sequence[Utterance]) -> list[dict[str, Any]]:
    """Return as many of the last utterances as fit, oldest first."""
    kept: list[dict[str, Any]] = []
    left = HISTORY_CHARACTERS
    for said in reversed(transcript[-LAST_UTTERANCES:]):
        text = shortened(said.text, UTTERANCE_CHARACTERS)
        left -= len(text)
        if left < 0:
            break
        kept.append(
            {
                "at": said.at.isoformat(timespec="seconds"),
                "options": list(said.options),
                "speaker": said.speaker.value,
                "text": text,
            }
            | file_marks(said.content)
        )
    return kept[::-1]
