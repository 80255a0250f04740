"""Every reader of what people and models write: total over Unicode, and linear in the length of the text."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adapters.channels.slack.inbound import SlackInbound
from adapters.channels.slack.outbound import escaped
from adapters.channels.telegram.outbound import to_html
from adapters.models.anthropic import FENCED
from cli.output import visible
from contracts.channels import Post
from contracts.conversation import Conversation, Speaker
from contracts.guardrails import KnownFacts
from contracts.language import likely_language
from contracts.links import unlinked
from contracts.listing import words_of
from contracts.messages import address_digests
from contracts.ports import Markup
from contracts.values import ConversationId, MessageId, shortened, without_lone_surrogates
from prompts.caching.content import normalised, vocabulary
from prompts.caching.questions import says_again
from prompts.pricing.prices import estimated_tokens
from prompts.request import conversation_json
from tests.builders import inbound
from tests.context.guardrails.making import HOSTILE, NOBODY, floor, institution
from tests.prompts_cache.turns import question, said, view
from worker.automatons import note_round
from worker.replies.composer import to_markup
from worker.replies.judging import sentence_ends
from worker.revisions import as_revised
from worker.routing import ConsentWords

MARKS = Markup(bold="*", italic="_", strike="~", code="`", block="```")


def rounds(text: str) -> object:
    window = (said(text), said(text, Speaker.ASSISTANT))
    return note_round(Conversation(id=ConversationId("web:c"), window=window), [inbound(text)])


def revisions(text: str) -> object:
    first = said(text).model_copy(update={"message_id": MessageId("1")})
    edit = said("").model_copy(update={"message_id": MessageId("2"), "revises": MessageId("1")})
    return as_revised([first, said(text, Speaker.ASSISTANT), edit])


def slack_message(text: str) -> object:
    event = {"type": "message", "channel_type": "im", "channel": "D1", "user": "U1", "ts": "1.1", "text": text}
    body = orjson.dumps({"type": "event_callback", "team_id": "T1", "event": event})
    return SlackInbound("s", id_salt="x").parse(Post(body), at=datetime(2026, 11, 20, tzinfo=UTC))


READERS: dict[str, Callable[[str], object]] = {
    "floor": lambda text: floor("pyloto").check_text(text, NOBODY),
    "person": lambda text: floor("pyloto").check_text("oi", KnownFacts(person_texts=(text,), person_name=text)),
    "wording": floor("pyloto").check_wording,
    "own": floor("pyloto").is_own,
    "consent": ConsentWords(institution("pyloto")).is_opt_out,
    "normalised": normalised,
    "content": lambda text: vocabulary(("oi",)).content(text, language="en"),
    "question": question,
    "named": lambda text: question("oi", name=text, window=(said(text), said(text, Speaker.ASSISTANT))),
    "said again": lambda text: says_again(text, text),
    "conversation": lambda text: conversation_json(view(text, name=text, window=(said(text),))),
    "language": likely_language,
    "tokens": estimated_tokens,
    "sentences": sentence_ends,
    "shortened": lambda text: shortened(text, 100),
    "markup": lambda text: to_markup(text, MARKS),
    "html": to_html,
    "slack": escaped,
    "slack's message": slack_message,
    "links": lambda text: unlinked(text, institution("pyloto")),
    "index": words_of,
    "addresses": lambda text: address_digests("salt", text),
    "fenced": FENCED.search,
    "terminal": visible,
    "rounds": rounds,
    "revisions": revisions,
}

PIECES = st.sampled_from(
    (
        *HOSTILE,
        "*a ",
        "*_",
        "<",
        "<a|",
        "http://a.b ",
        "**a*",
        "@a@",
        "`a ",
        "```a\n",
        "[a](",
        "<a> ",
        "a@",
        "\u0301",
        "\u3007",
        "\U000e0041",
    )
)
SHORT, TIMES = 1_500, 4


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(max_size=300).map(without_lone_surrogates))
@example("\u3007x")
@example("\u00bd\u2155a oi")
@example("*" * 200)
@example("[" * 200)
@pytest.mark.parametrize("reader", READERS)
def test_any_text_can_be_read(reader: str, text: str) -> None:
    READERS[reader](text)
    READERS[reader](f"Oi {text} quero")


def seconds(reader: str, text: str) -> float:
    """Processor time of one reading, the least of three; what was read before may be kept."""
    times = []
    for attempt in range(3):
        started = time.thread_time()
        READERS[reader](f"{'x' * (attempt + 1)} {text}")
        times.append(time.thread_time() - started)
    return min(times)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=3).map("".join))
@pytest.mark.parametrize("reader", READERS)
def test_the_time_of_reading_is_linear(reader: str, piece: str) -> None:
    READERS[reader](piece)
    short, long = ((piece * (length // len(piece) + 1))[:length] for length in (SHORT, SHORT * TIMES))
    # A square would make it 16 times as long; some milliseconds are within what a busy machine adds.
    assert seconds(reader, long) <= 2 * TIMES * seconds(reader, short) + 0.03
