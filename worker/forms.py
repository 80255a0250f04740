"""Forms of business lines: the fields that a conversation collects, and what follows when none is missing."""

from contracts.conversation import Conversation
from contracts.decisions import StateDecision
from contracts.institution import Institution


def completed_form(
    before: Conversation, after: Conversation, decision: StateDecision, institution: Institution
) -> bool:
    """Whether a turn ends the questions of a line that leads on; once for each line and episode.

    The form has the fields of the intent, where it has any, else those of the line. A field that was asked for in an
    earlier turn and not given counts as declined: nothing is asked twice. Another field given instead, a correction
    for one, does not decline it yet, and a digression to another intent ends nothing.
    """
    intent, line = institution.intent(after.intent), institution.line(after.business_line)
    if line is None or not line.on_complete or line.id in after.completed_lines or decision.ask_field:
        return False
    wanted = intent.fields if intent is not None and intent.line == line.id and intent.fields else line.fields
    declined = before.asked_fields[:-1] if decision.collected else before.asked_fields
    known = {*after.fields, *declined, *(["name"] if after.person_name else [])}
    goes_on = bool(decision.collected) or after.intent == before.intent
    return goes_on and bool(after.fields) and known.issuperset(wanted)
