"""Reminders and follow-ups: what the institution's documents let the assistant say after a silence of the person.

The next one is a due time in the head, in `times_out_at` where it comes before the state's own limit, so every commit
of a turn cancels it and schedules again, and the sweep finds both in one look.
"""

from datetime import datetime, timedelta

from contracts.conversation import Conversation, DueTimer, Owner
from contracts.institution import NAME, Institution, Timer
from contracts.messages import MessageType, OutboundMessage


def scheduled(conversation: Conversation, institution: Institution, at: datetime) -> Conversation:
    """Return the conversation, last changed `at`, with its next timer inside the institution's hours, if any."""
    limit = limit_of(conversation)
    plain = conversation.model_copy(update={"times_out_at": limit, "due_timer": None})
    hours = institution.timer_hours or institution.hours
    if hours is None or conversation.owner is not Owner.ASSISTANT or conversation.opted_out:
        return plain
    dues = [
        (opening, timer.id)
        for timer in institution.timers
        if conversation.reminded.count(timer.id) < timer.at_most
        and timer.state is conversation.state
        and timer.line in (None, conversation.business_line)
        if (opening := hours.next_opening(at + timer.after)) is not None
    ]
    if not dues:
        return plain
    due, timer_id = min(dues)
    if limit is not None and due >= limit:
        return plain
    return conversation.model_copy(
        update={"times_out_at": due, "due_timer": DueTimer(id=timer_id, at=due, limit_at=limit)}
    )


def limit_of(conversation: Conversation) -> datetime | None:
    """Return the end of the state's own time, which a due timer comes before."""
    due = conversation.due_timer
    return due.limit_at if due is not None and due.at == conversation.times_out_at else conversation.times_out_at


def due_timer(conversation: Conversation, institution: Institution, at: datetime) -> Timer | None:
    """Return the timer to act on now, as the documents have it today."""
    due = conversation.due_timer
    if due is None or due.at != conversation.times_out_at or due.at > at:
        return None
    return next((timer for timer in institution.timers if timer.id == due.id), None)


def message_of(
    timer: Timer, conversation: Conversation, institution: Institution, at: datetime, *, window: timedelta | None
) -> OutboundMessage | None:
    """Return what is said: the text inside the platform's window, outside it the template; None: nothing may be."""
    hours = institution.timer_hours or institution.hours
    if conversation.opted_out or hours is None or not hours.is_open(at):
        return None
    opened, name = conversation.last_inbound_at, conversation.person_name
    text = timer.text.replace(NAME, name) if name else timer.text.replace(f", {NAME}", "").replace(NAME, "").strip()
    if window is None or (opened is not None and at < opened + window):
        return OutboundMessage.of_text(text)
    if timer.template is None or (NAME in timer.text and not name):
        return None
    return OutboundMessage(type=MessageType.TEMPLATE, text=text, template=timer.as_template(name or ""))
