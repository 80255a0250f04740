"""Every kind of message that Meta documents: what becomes of it, and whether anybody answers it."""

from typing import Any

import pytest
from webhook_bed import ACCOUNT, ANA, WebhookBed

from contracts.messages import ADVERTISEMENT, InboundKind, InboundMessage
from sandbox.whatsapp_webhooks import Change
from tests import whatsapp_kinds as meta

OUR_MESSAGE = "wamid.OURS"

ANSWERED: dict[str, tuple[Change, InboundKind, str]] = {
    "text": (meta.inbound_text(ANA, "Olá, tudo bem?"), InboundKind.TEXT, "Olá, tudo bem?"),
    "emoji": (meta.inbound_text(ANA, "👩‍👩‍👧 ok 🇧🇷"), InboundKind.TEXT, "👩‍👩‍👧 ok 🇧🇷"),
    "button": (meta.inbound_button_reply(ANA, "b-1", "Agendar"), InboundKind.CHOICE, "Agendar"),
    "list": (meta.inbound_list_reply(ANA, "r-7", "Sábado", "9h"), InboundKind.CHOICE, "Sábado"),
    "template button": (meta.inbound_template_button(ANA, "YES", "Sim"), InboundKind.CHOICE, "Sim"),
    "form": (
        meta.inbound_form_reply(ANA, {"nome": "Ana", "idade": 41, "flow_token": "x"}),
        InboundKind.FORM,
        "nome: Ana\nidade: 41",
    ),
    "form that does not parse": (meta.inbound_form_reply(ANA, "{broken"), InboundKind.FORM, "Sent"),
    "form that is a list": (meta.inbound_form_reply(ANA, "[1]"), InboundKind.FORM, "Sent"),
    "form too deep": (meta.inbound_form_reply(ANA, "[" * 500), InboundKind.FORM, "Sent"),
    "image": (meta.inbound_image(ANA, caption="Meu documento"), InboundKind.IMAGE, "Meu documento"),
    "image without words": (meta.inbound_image(ANA), InboundKind.IMAGE, ""),
    "video": (meta.inbound_video(ANA, caption="Veja"), InboundKind.VIDEO, "Veja"),
    "audio": (meta.inbound_audio(ANA), InboundKind.AUDIO, ""),
    "document": (meta.inbound_document(ANA, caption="Contrato"), InboundKind.DOCUMENT, "Contrato"),
    "sticker": (meta.inbound_sticker(ANA), InboundKind.STICKER, ""),
    "place": (
        meta.inbound_location(ANA, -25.43, -49.27, "Padaria", "Rua das Flores, 10"),
        InboundKind.LOCATION,
        "Padaria - Rua das Flores, 10",
    ),
    "bare coordinates": (meta.inbound_location(ANA, -25.43, -49.27), InboundKind.LOCATION, "-25.43, -49.27"),
    "contact": (meta.inbound_contacts(ANA, "João Souza", "+5541999"), InboundKind.CONTACTS, "João Souza"),
    "order": (meta.inbound_order(ANA, "sku-1", 2, "Para hoje"), InboundKind.ORDER, "Para hoje\n2 x sku-1"),
    "quantity as a string": (meta.inbound_order(ANA, "sku-1", "3"), InboundKind.ORDER, "3 x sku-1"),
    "unsupported": (meta.inbound_unsupported(ANA), InboundKind.UNSUPPORTED, ""),
    "unheard of": (meta.message(ANA, "hologram", {"body": "?"}), InboundKind.UNSUPPORTED, ""),
    "no type": (meta.message(ANA, ""), InboundKind.UNSUPPORTED, ""),
    "call permission": (
        meta.message(ANA, "interactive", {"type": "call_permission_reply", "call_permission_reply": {}}),
        InboundKind.UNSUPPORTED,
        "",
    ),
    "interactive without its object": (meta.message(ANA, "interactive"), InboundKind.UNSUPPORTED, ""),
}

RECORDED: dict[str, tuple[Change, InboundKind, str]] = {
    "reaction": (meta.inbound_reaction(ANA, OUR_MESSAGE, "👍"), InboundKind.REACTION, "👍"),
    "reaction taken back": (meta.inbound_reaction(ANA, OUR_MESSAGE, None), InboundKind.REACTION, ""),
    "edit": (meta.inbound_edit(ANA, "wamid.FIRST", "Quis dizer amanhã"), InboundKind.EDIT, "Quis dizer amanhã"),
    "revoke": (meta.inbound_revoke(ANA, "wamid.FIRST"), InboundKind.REVOKE, ""),
    "welcome": (meta.inbound_welcome(ANA), InboundKind.WELCOME, ""),
    "number changed": (
        meta.inbound_system(ANA, "user_changed_number", "Ana changed", wa_id="5511900000000"),
        InboundKind.SYSTEM,
        "Ana changed",
    ),
    "identity changed": (meta.inbound_system(ANA, "customer_identity_changed", ""), InboundKind.SYSTEM, ""),
    "echo": (meta.echo(ANA, "Já respondo"), InboundKind.TEXT, "Já respondo"),
    "group": (meta.inbound_text(ANA, "Oi, grupo", group_id="G-1"), InboundKind.TEXT, "Oi, grupo"),
}

IGNORED: dict[str, Change] = {
    "history": meta.other(
        "history",
        history=[{"threads": [{"messages": [{"id": "1"}]}]}],
        messages=[{"id": "wamid.H", "from": ANA, "type": "text", "text": {"body": "antiga"}}],
    ),
    "standby": meta.other("standby", messages=[{"id": "wamid.X", "from": ANA, "type": "text"}]),
    "handover": meta.other("messaging_handovers"),
    "call": meta.other("calls", calls=[{"id": "c"}]),
    "preferences": meta.other("user_preferences", user_preferences=[{"timestamp": 1, "value": "stop"}]),
    "template review": meta.other("message_template_status_update"),
    "a field nobody has heard of": meta.other("hologram_update"),
    "an error of the account": meta.error(131000),
}


async def received(bed: WebhookBed, change: Change) -> InboundMessage:
    (message,) = await bed.receive(change)
    return message


@pytest.mark.parametrize("case", ANSWERED)
async def test_what_a_person_says_is_answered(bed: WebhookBed, case: str) -> None:
    change, kind, text = ANSWERED[case]
    message = await received(bed, change)
    assert (message.kind, message.text, message.is_recorded_only) == (kind, text, False)
    assert bed.queue.woken == [message.conversation_id]
    assert await bed.raw_letters() == []


@pytest.mark.parametrize("case", RECORDED)
async def test_what_needs_no_answer_is_recorded(bed: WebhookBed, case: str) -> None:
    change, kind, text = RECORDED[case]
    message = await received(bed, change)
    assert (message.kind, message.text, message.is_recorded_only) == (kind, text, True)


async def test_an_edit_and_a_deletion_name_the_message_that_they_are_about(bed: WebhookBed) -> None:
    caption = {"type": "image", "image": {"id": "1", "caption": "O recibo certo"}}
    first, edited, captioned, gone, elsewhere = await bed.receive(
        meta.inbound_text(ANA, "Quero para hoje", id="wamid.FIRST"),
        meta.inbound_edit(ANA, "wamid.FIRST", "Quis dizer amanhã"),
        meta.message(ANA, "edit", {"original_message_id": "wamid.FIRST", "message": caption}),
        meta.inbound_revoke(ANA, "wamid.FIRST"),
        meta.message(ANA, "edit", None),
    )
    assert {edited.revises, captioned.revises, gone.revises} == {first.id}
    assert [one.revision and one.revision.text for one in (edited, captioned, gone)] == [
        "Quis dizer amanhã",
        "O recibo certo",
        None,
    ]
    assert (elsewhere.revises, elsewhere.revision, first.revision) == (None, None, None)


@pytest.mark.parametrize("case", IGNORED)
async def test_what_is_not_a_message_is_ignored(bed: WebhookBed, case: str) -> None:
    assert await bed.receive(IGNORED[case]) == []
    assert not bed.queue.woken
    assert await bed.raw_letters() == []


async def test_a_choice_carries_the_id_of_what_was_offered(bed: WebhookBed) -> None:
    messages = await bed.receive(
        meta.inbound_button_reply(ANA, "b-1", "Sim", reply_to=OUR_MESSAGE),
        meta.inbound_list_reply(ANA, "r-7", "Sábado"),
        meta.inbound_template_button(ANA, "YES", "Sim"),
        meta.inbound_template_button(ANA, "", "Sim"),
    )
    assert [message.choice_id for message in messages] == ["b-1", "r-7", "YES", None]
    assert [message.reply_to for message in messages] == [OUR_MESSAGE, None, None, None]


async def test_a_file_is_known_by_the_platforms_id(bed: WebhookBed) -> None:
    document = meta.inbound_document(ANA, "77", "orçamento – 報價.pdf", "Veja")
    voice = meta.inbound_audio(ANA, "78")
    sent, spoken = [message.media for message in await bed.receive(document, voice)]
    assert sent is not None
    assert (sent.reference, sent.mime_type, sent.filename) == ("77", "application/pdf", "orçamento – 報價.pdf")
    assert len(sent.sha256) == 64
    assert spoken is not None
    assert (spoken.reference, spoken.mime_type) == ("78", "audio/ogg; codecs=opus")


async def test_what_an_event_is_about_is_kept_beside_it(bed: WebhookBed) -> None:
    reaction, edit, revoke, moved, poll, unknown = await bed.receive(
        meta.inbound_reaction(ANA, OUR_MESSAGE, "👍"),
        meta.inbound_edit(ANA, "wamid.FIRST", "Quis dizer amanhã"),
        meta.inbound_revoke(ANA, "wamid.FIRST"),
        meta.inbound_system(ANA, "user_changed_number", "", wa_id="5511900000000"),
        meta.inbound_unsupported(ANA, "poll"),
        meta.message(ANA, "h" * 1000),
    )
    assert reaction.data == {"to": OUR_MESSAGE}
    assert edit.data == revoke.data == {"to": "wamid.FIRST"}
    assert moved.data == {"type": "user_changed_number", "wa_id": "5511900000000"}
    assert poll.data == {"type": "poll"}
    assert unknown.data == {"type": "h" * 64}


async def test_the_business_own_words_belong_to_the_customers_conversation(bed: WebhookBed) -> None:
    echo, answer = await bed.receive(meta.echo(ANA, "Já respondo"), meta.inbound_text(ANA, "Obrigada"))
    assert echo.conversation_id == answer.conversation_id
    assert echo.address.person == ANA
    assert echo.person_name is None


async def test_a_group_is_one_conversation_of_many_people(bed: WebhookBed) -> None:
    mine, hers, alone = await bed.receive(
        meta.inbound_text(ANA, "a", group_id="G-1"),
        meta.inbound_text("5511900000002", "b", group_id="G-1"),
        meta.inbound_text(ANA, "c"),
    )
    assert mine.conversation_id == hers.conversation_id != alone.conversation_id
    assert mine.address.person == "G-1"
    assert mine.address.aliases == (ANA, f"BR.{ANA}")
    assert mine.threads == (), "its members are many people"


async def test_ids_say_nothing_about_the_person(bed: WebhookBed) -> None:
    message = await received(bed, meta.inbound_text(ANA, "Oi", id=f"wamid.{ANA}"))
    for name in (message.id, message.conversation_id, message.dedup_key):
        assert ANA not in name
    assert message.platform_id == f"wamid.{ANA}"
    assert (message.address.account, message.address.person) == (ACCOUNT, ANA)


async def test_the_same_person_at_another_number_of_ours_is_another_conversation(bed: WebhookBed) -> None:
    here, there = await bed.receive(
        meta.inbound_text(ANA, "Oi", id="wamid.1"), meta.inbound_text(ANA, "Oi", id="wamid.1", phone_number_id="999")
    )
    assert here.conversation_id != there.conversation_id
    assert (here.address.account, there.address.account) == (ACCOUNT, "999")


async def test_the_business_scoped_id_names_the_person_and_the_number_is_an_alias(bed: WebhookBed) -> None:
    both, without_number = await bed.receive(
        meta.inbound_text(ANA, "a", user_id="BR.abc"), meta.inbound_text("", "b", user_id="BR.abc")
    )
    assert both.conversation_id == without_number.conversation_id
    assert (both.address.person, both.address.aliases) == ("BR.abc", (ANA,))
    assert (without_number.address.person, without_number.address.aliases) == ("BR.abc", ())
    assert both.address.user == without_number.address.user == "BR.abc"


async def test_the_names_in_a_message_and_in_the_contact_beside_it_attest_one_person(bed: WebhookBed) -> None:
    """The contact is matched by its number: contacts are not in the order of the messages."""
    change = meta.inbound_text(ANA, "a", user_id="BR.abc")
    del change["value"]["messages"][0]["from_user_id"]
    change["value"]["contacts"].insert(0, {"wa_id": "5511900000002", "user_id": "BR.other"})
    by_number, by_id = await bed.receive(change, meta.inbound_text("", "b", user_id="BR.abc"))
    assert by_number.threads == (by_number.conversation_id, by_id.conversation_id)
    assert by_number.address.user == "BR.abc"
    assert by_id.threads == ()


@pytest.mark.parametrize(
    "change",
    [
        meta.message(ANA, "system", {"type": "user_changed_number", "wa_id": "5511900000002"}, name=None),
        meta.message(ANA, "system", {"type": "user_changed_number", "new_wa_id": "5511900000002"}, name=None),
    ],
)
async def test_a_change_of_number_attests_the_old_and_the_new_one(bed: WebhookBed, change: meta.Change) -> None:
    changed = await received(bed, change)
    old = await received(bed, meta.inbound_text(ANA, "a", name=None))
    new = await received(bed, meta.inbound_text("5511900000002", "b", name=None))
    assert changed.threads == (new.conversation_id, old.conversation_id)
    assert changed.address.person == "5511900000002"
    assert changed.is_recorded_only


async def test_a_change_of_the_user_id_attests_both(bed: WebhookBed) -> None:
    news = {"wa_id": ANA, "user_id": {"previous": "BR.old", "current": "BR.new"}, "timestamp": "1763640000"}
    system = {"type": "user_changed_user_id", "user_id": "BR.new"}
    old = await received(bed, meta.inbound_text("", "a", user_id="BR.old"))
    new = await received(bed, meta.inbound_text("", "b", user_id="BR.new"))
    for change in (
        meta.other("user_id_update", user_id_update=[news]),
        meta.message("", "system", system, user_id="BR.old", name=None),
    ):
        changed = await received(bed, change)
        assert {old.conversation_id, new.conversation_id} <= set(changed.threads)
        assert (changed.address.user, changed.is_recorded_only) == ("BR.new", True)


async def test_a_message_without_sender_belongs_to_the_only_contact(bed: WebhookBed) -> None:
    change = meta.inbound_text("", "Oi", user_id="BR.abc")
    del change["value"]["messages"][0]["from_user_id"]
    message = await received(bed, change)
    assert message.address.person == "BR.abc"


async def test_a_message_without_sender_among_several_contacts_is_nobodys(bed: WebhookBed) -> None:
    change = meta.inbound_text(ANA, "Oi")
    change["value"]["contacts"].append({"wa_id": "5511900000002", "profile": {"name": "Bia"}})
    del change["value"]["messages"][0]["from"]
    assert await bed.receive(change) == []
    assert len(await bed.raw_letters()) == 1


async def test_names_are_matched_by_id_and_not_by_place(bed: WebhookBed) -> None:
    people = {"5511900000001": "Ana", "5511900000002": "Bia", "5511900000003": "Caio"}
    change = meta.inbound_text("5511900000001", "1")
    change["value"]["contacts"] = [
        {"wa_id": person, "profile": {"name": name}} for person, name in reversed(people.items())
    ]
    change["value"]["messages"] = [
        meta.inbound_text(person, "x")["value"]["messages"][0] for person in [*people, "5511900000009"]
    ]
    assert [message.person_name for message in await bed.receive(change)] == ["Ana", "Bia", "Caio", None]


BROKEN_CONTACTS: dict[str, Any] = {
    "missing": None,
    "empty": [],
    "not a list": {"wa_id": ANA},
    "not objects": ["Ana", 7, None],
    "ids that are lists": [{"wa_id": [ANA], "user_id": {"a": 1}}],
    "profile missing": [{"wa_id": ANA}],
    "profile not an object": [{"wa_id": ANA, "profile": "Ana"}],
    "name not a string": [{"wa_id": ANA, "profile": {"name": ["Ana"]}}],
}


@pytest.mark.parametrize("case", BROKEN_CONTACTS)
async def test_contacts_that_are_no_use_cost_no_message(bed: WebhookBed, case: str) -> None:
    change = meta.inbound_text(ANA, "Oi")
    change["value"]["contacts"] = BROKEN_CONTACTS[case]
    message = await received(bed, change)
    assert (message.text, message.person_name) == ("Oi", None)


async def test_a_long_name_is_cut(bed: WebhookBed) -> None:
    message = await received(bed, meta.inbound_text(ANA, "Oi", name="Á" * 5000))
    assert message.person_name == "Á" * 100


@pytest.mark.parametrize(
    ("given", "year"),
    [
        ("1795000000", 2026),
        (1795000000, 2026),
        (1795000000.9, 2026),
        ("0", 1970),
        ("-1", 1969),
        ("1795000000000000", None),
        ("9" * 5000, None),
        (1e300, None),
        ("ontem", None),
        ("", None),
        (None, None),
        ([], None),
        ({"seconds": 1}, None),
    ],
)
async def test_a_moment_that_is_none_costs_nothing(durable_bed: WebhookBed, given: Any, year: int | None) -> None:
    change = meta.inbound_text(ANA, "Oi")
    change["value"]["messages"][0]["timestamp"] = given
    message = await received(durable_bed, change)
    assert (message.sent_at.year if message.sent_at else None) == year
    assert message.received_at == durable_bed.clock.now()


async def test_the_words_of_an_advertisement_are_kept(bed: WebhookBed) -> None:
    referral = {"source_type": "ad", "headline": "Entregas em Campinas", "body": "Peça " * 400}
    message = await received(bed, meta.inbound_text(ANA, "Quero saber mais", referral=referral))
    assert message.data[ADVERTISEMENT].startswith("Entregas em Campinas\nPeça")
    assert len(message.data[ADVERTISEMENT]) <= 1_000


async def test_extras_change_nothing(bed: WebhookBed) -> None:
    message = await received(
        bed,
        meta.inbound_text(
            ANA,
            "Vi o anúncio",
            referral={"source_url": "https://fb.me/1", "source_type": "ad", "ctwa_clid": "c"},
            context={"forwarded": True},
            errors=[{"code": 1}],
            something_new={"deep": [{}]},
        ),
    )
    assert (message.kind, message.text, message.reply_to) == (InboundKind.TEXT, "Vi o anúncio", None)
