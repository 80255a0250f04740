"""Turns as the cache sees them."""

from typing import Any

from contracts.conversation import Conversation, Speaker, State, TaskName, Utterance
from contracts.decisions import StateDecision
from contracts.messages import ChannelName, InboundMessage
from contracts.values import ConversationId
from prompts.caching.questions import CachePolicy, Question
from prompts.request import TurnView
from tests.builders import START, inbound, pyloto

EVERYTHING = CachePolicy(frozenset({TaskName.RESPONSE}), template=True, embedder="hashed")


def decided(**changes: Any) -> StateDecision:
    given: dict[str, Any] = {"next_state": State.PROCESSING, "confidence": 0.95, "intent": "greeting"} | changes
    return StateDecision(**given)


def said(text: str, speaker: Speaker = Speaker.PERSON) -> Utterance:
    return Utterance(speaker=speaker, text=text, at=START)


def view(
    *texts: str,
    conversation: str = "c-1",
    name: str | None = None,
    decision: StateDecision | None = None,
    window: tuple[Utterance, ...] = (),
    messages: tuple[InboundMessage, ...] = (),
    rewrite: tuple[str, ...] = (),
    **head: Any,
) -> TurnView:
    return TurnView(
        institution=pyloto(),
        conversation=Conversation(
            id=ConversationId(conversation),
            state=State.GENERATING_RESPONSE,
            person_name=name,
            window=window,
            **head,
        ),
        messages=messages or tuple(inbound(text, conversation=conversation) for text in texts),
        channel=ChannelName.WEB,
        allowed_states=(State.PROCESSING, State.ESCALATING),
        askable_fields=("name", "need"),
        decision=decision or decided(),
        rewrite=rewrite,
    )


def question(
    *texts: str, task: TaskName = TaskName.RESPONSE, policy: CachePolicy = EVERYTHING, **options: Any
) -> Question | None:
    return policy.question(task, "generate_response_v1@0000", "m", view(*texts, **options))


def asked(*texts: str, **options: Any) -> Question:
    one = question(*texts, **options)
    assert one is not None
    return one
