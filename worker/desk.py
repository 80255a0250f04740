"""What every step of a turn works with, and the two things all of them do: move the conversation, tell who watches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from contracts.conversation import Conversation, Speaker, State, Trigger
from contracts.decisions import MessageTypeChoice, StateDecision
from contracts.guardrails import KnownFacts
from contracts.institution import FixedText, Institution
from contracts.messages import MessageType, OutboundMessage
from contracts.ports import Channel, ChannelLimits, LiveEvent
from prompts.request import TurnView
from worker.composer import fit
from worker.dependencies import Dependencies, Rulebook
from worker.routing import RATINGS, Course
from worker.turn import Draft, Turn

Replies: TypeAlias = tuple[OutboundMessage, ...]


@dataclass(frozen=True)
class Desk:
    """One turn with one version of the documents and the ports of the process.

    `rating` is what the person says of the conversation that has just ended, where the turn is that and nothing else.
    """

    turn: Turn
    rulebook: Rulebook
    deps: Dependencies
    rating: Course | None = None

    @property
    def institution(self) -> Institution:
        return self.rulebook.institution

    @property
    def channel(self) -> Channel:
        return self.deps.channels[self.turn.messages[-1].address.channel]

    @property
    def limits(self) -> ChannelLimits:
        return self.channel.limits

    def fixed(self, which: FixedText) -> OutboundMessage:
        return OutboundMessage.of_text(self.institution.text(which))

    def written_answer(self, decision: StateDecision, kind: Literal["escalate", "conclude", "spam"]) -> Replies:
        """What the institution wrote for an intent of this kind, with its asset; nothing for any other intent.

        It goes out before the fixed text: whoever cannot breathe must read "call 999" and not only that a person comes.
        """
        intent = self.institution.intent(decision.intent)
        if intent is None or not getattr(intent, kind):
            return ()
        asset = self.institution.asset(intent.asset)
        form = MessageTypeChoice(type=asset.type if asset else MessageType.TEXT, asset=intent.asset)
        return fit(intent.answer, form, (), self.institution, self.limits)

    def how_was_it(self) -> tuple[OutboundMessage, ...]:
        """The question at the end of a conversation, with its two buttons; nothing where the institution asks none."""
        institution = self.institution
        if not institution.asks_satisfaction:
            return ()
        titles = [institution.text(answer) for answer in RATINGS]
        form = MessageTypeChoice(type=MessageType.BUTTON)
        return fit(institution.text(FixedText.SATISFACTION), form, titles, institution, self.limits)

    def view(self, conversation: Conversation) -> TurnView:
        """What the tasks may know. A field is asked for once: neither when it is known nor when it was asked before."""
        known = {*conversation.fields, *conversation.asked_fields}
        if conversation.person_name:
            known.add("name")
        return TurnView(
            institution=self.institution,
            conversation=conversation,
            messages=self.turn.answerable,
            channel=self.turn.messages[-1].address.channel,
            allowed_states=tuple(self.deps.machine.open_moves(conversation, by="model")),
            askable_fields=tuple(field.id for field in self.institution.fields if field.id not in known),
        )

    def known_facts(self, view: TurnView) -> KnownFacts:
        """What a reply may repeat although the institution does not say it."""
        conversation = view.conversation
        earlier = (said.text for said in conversation.window if said.speaker is Speaker.PERSON)
        return KnownFacts(
            person_texts=(*earlier, *(message.text for message in view.messages)),
            fields=conversation.fields,
            person_name=conversation.person_name,
            person_address=conversation.address.person if conversation.address else None,
        )

    def pull(
        self,
        draft: Draft,
        *triggers: Trigger,
        by: StateDecision | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Draft:
        """Pull triggers one after the other; a move that Task 1 decided carries its confidence and what it understood.

        Raises:
            IllegalTransitionError: the table has no such move.
        """
        details = dict(metadata or {})
        if by is not None:
            details |= {"intent": by.intent or "", "business_line": by.business_line or ""}
        walk = draft.walk
        for trigger in triggers:
            walk = self.deps.machine.advance(
                walk,
                trigger,
                at=self.deps.clock.now(),
                confidence=by.confidence if by else None,
                metadata=details,
            )
        return draft.on(walk)

    def to_understanding(self, draft: Draft) -> Draft:
        """Bring the conversation from where it rests to where Task 1 decides."""
        if draft.walk.state is State.INIT:
            known = {"known": str(draft.walk.conversation.person_name is not None).lower()}
            return self.pull(draft, Trigger.BEGIN, Trigger.IDENTIFIED, metadata=known)
        return self.pull(draft, Trigger.RECEIVE)

    async def tell(self, draft: Draft) -> None:
        """Let watching clients know how far the turn has come, where the channel has any."""
        if not self.channel.is_watched:
            return
        path = [state.value for state in draft.walk.path]
        data = {"state": draft.walk.state.value, "path": path, "turn": self.turn.id}
        await self.deps.events.publish(self.turn.conversation_id, LiveEvent(name="state", data=data))
