"""Files that people send: read, or answered with what to do; whatever is wrong with them, nothing is lost."""

import io
import logging
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.channels.chatwoot.inbound import ChatwootInbound
from adapters.channels.chatwoot.outbound import ChatwootChannel
from adapters.channels.fetching import Downloads
from adapters.channels.messenger import Instagram, Messenger
from adapters.channels.messenger.inbound import MessengerInbound
from adapters.channels.messenger.outbound import MessengerChannel
from adapters.channels.slack.inbound import SlackInbound
from adapters.channels.slack.outbound import SlackChannel
from adapters.channels.telegram.inbound import TelegramInbound
from adapters.channels.telegram.outbound import TelegramChannel
from adapters.channels.whatsapp.inbound import WhatsAppInbound
from adapters.channels.whatsapp.outbound import WhatsAppChannel
from adapters.http.listener import listen
from cli.serving import server_of
from contracts.channels import Post
from contracts.conversation import Owner, Speaker
from contracts.errors import ModelRequestRejectedError, StoreUnavailableError, TransientError
from contracts.institution import FixedText, Translation
from contracts.ledger import COLLECTION, Page
from contracts.media import Heard, InboundMedia, MediaFault, MediaFile, MediaLimits, MediaRefusedError, MediaSource
from contracts.messages import InboundKind, InboundMessage
from contracts.ports import Channel, ChannelInbound, ModelRequest
from observability.logs import configure_logs
from prompts.pricing.budget import Ceilings
from sandbox import chatwoot_api, messenger_api, slack_api, telegram_api
from sandbox import whatsapp_webhooks as meta
from sandbox.app import SandboxSettings, create_app
from sandbox.media import MediaShelf
from sandbox.media_faults import LOOKUP_FAULTS
from sandbox.media_faults import FileFault as Served
from tests.builders import (
    BACKENDS,
    EngineBed,
    RecordingChannel,
    SteppingClock,
    agreeable,
    conversation_id,
    decision,
    engine_bed,
    inbound,
    meter,
    open_backend,
    pyloto,
    response,
    scripted,
)
from tests.media_files import OGG, gif, jpeg, pdf, png, webp
from tests.scripted import ScriptedModel
from worker.drain import drain
from worker.media import MediaPolicy, MediaReader
from worker.people import privacy

C1 = conversation_id()
LIMITS = MediaLimits(max_bytes=4 * 1024 * 1024, within=timedelta(seconds=20))
SHORT = LIMITS.model_copy(update={"within": timedelta(seconds=0.5)})
MARKER = "zebra-azul-4711"
AGAIN, LARGE, TYPE = FixedText.FILE_AGAIN, FixedText.FILE_TOO_LARGE, FixedText.FILE_TYPE
PROTECTED, NO_SPEECH, UNREADABLE = FixedText.FILE_PROTECTED, FixedText.NO_SPEECH, FixedText.UNREADABLE
READ = None

IMAGE, DOCUMENT, AUDIO = InboundKind.IMAGE, InboundKind.DOCUMENT, InboundKind.AUDIO

# Faults of the platform, with a picture that is fine.
AT_THE_PLATFORM: dict[Served, FixedText | None] = dict.fromkeys(Served, AGAIN) | {
    Served.HUGE: LARGE,
    Served.HUGE_DECLARED: LARGE,
    Served.GZIP_BOMB: LARGE,
    Served.PAGE: TYPE,
    # The bytes decide, not what a header says of them.
    Served.WRONG_TYPE: READ,
    Served.WITHOUT_TYPE: READ,
    Served.CORRUPT: READ,
    # Of addresses that come with a message; WhatsApp's are asked for.
    Served.STALE: READ,
}
# Faults of the file, which comes whole.
IN_THE_FILE: dict[str, tuple[InboundKind, bytes, FixedText | None]] = {
    "photo": (IMAGE, jpeg(), READ),
    "animated gif": (IMAGE, gif(), READ),
    "animated webp": (IMAGE, webp(), READ),
    "lossless webp": (IMAGE, webp(b"VP8L"), READ),
    "plain webp": (IMAGE, webp(b"VP8 "), READ),
    "photo as a document": (DOCUMENT, jpeg(), READ),
    "one pixel": (IMAGE, png(1, 1), AGAIN),
    "no pixel": (IMAGE, png(0, 0), AGAIN),
    "a picture of 20,000 pixels": (IMAGE, png(20_000, 20_000), LARGE),
    "a picture of 4 MB": (IMAGE, png(padding=4 * 1024 * 1024 - 300), LARGE),
    "png cut in its header": (IMAGE, png()[:18], AGAIN),
    "jpeg without a size": (IMAGE, b"\xff\xd8\xff\xe1\x00\x04ab", AGAIN),
    "jpeg of one marker": (IMAGE, b"\xff\xd8\xff", AGAIN),
    "webp without a body": (IMAGE, b"RIFF\0\0\0\0WEBPVP8 ", AGAIN),
    "zeros": (IMAGE, bytes(500), AGAIN),
    "a blank": (DOCUMENT, b" \r\n", AGAIN),
    "svg": (IMAGE, b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", TYPE),
    "heic": (IMAGE, b"\0\0\0\x18ftypheic" + bytes(100), TYPE),
    "heic as a document": (DOCUMENT, b"\0\0\0\x18ftypheic" + bytes(100), TYPE),
    "avif": (DOCUMENT, b"\0\0\0\x18ftypavif" + bytes(100), TYPE),
    "zip named jpg": (IMAGE, b"PK\x03\x04\xff" + bytes(300), TYPE),
    "a picture of 1 x 100,000": (IMAGE, png(1, 100_000), LARGE),
    "gif with a script behind it": (IMAGE, gif() + b"<script>alert(1)</script>", READ),
    "text in utf-16": (DOCUMENT, "Preço".encode("utf-16"), TYPE),
    "a page in base64": (DOCUMENT, b64encode(b"<html><script>alert(1)</script></html>"), READ),
    "pdf of 5,000 pages": (DOCUMENT, pdf(5_000), LARGE),
    "pdf of 21 pages spelt by numbers": (DOCUMENT, pdf(extra=b"<</#54ype/P#61ge>>\n" * 21), LARGE),
    "bmp": (IMAGE, b"BM" + bytes(range(200)), TYPE),
    "an error of an API": (IMAGE, b'{"error":{"code":190}}', TYPE),
    "a recording as a picture": (IMAGE, OGG, TYPE),
    "docx": (DOCUMENT, b"PK\x03\x04\xff" + bytes(300), TYPE),
    "a program": (DOCUMENT, b"MZ\x90\0\x03" + bytes(300), TYPE),
    "a page": (DOCUMENT, b"\n <!DOCTYPE html><html></html>", TYPE),
    "noise": (DOCUMENT, bytes(range(128, 256)) * 9, TYPE),
    "text": (DOCUMENT, "Preço: 10 €\n".encode(), READ),
    "a long text": (DOCUMENT, b"palavra " * 10_000, LARGE),
    "pdf": (DOCUMENT, pdf(), READ),
    "pdf with packed pages": (DOCUMENT, pdf(3, packed=True), READ),
    "pdf of 21 pages": (DOCUMENT, pdf(21), LARGE),
    "pdf of 21 packed pages": (DOCUMENT, pdf(21, packed=True), LARGE),
    "pdf that unpacks to 100 MB": (DOCUMENT, pdf(3_000_000, packed=True), LARGE),
    "encrypted pdf": (DOCUMENT, pdf(extra=b"/Encrypt 5 0 R\n"), PROTECTED),
    "pdf cut": (DOCUMENT, pdf(whole=False), AGAIN),
    "a note where nobody listens": (AUDIO, OGG, UNREADABLE),
}


@dataclass
class Files(RecordingChannel):
    """A platform that takes replies in memory, and has the files of a real one over HTTP."""

    source: MediaSource | None = None
    fetched: list[str] = field(default_factory=list)

    async def fetch(self, media: InboundMedia, *, account: str, limits: MediaLimits) -> MediaFile:
        assert self.source is not None
        self.fetched.append(media.reference)
        return await self.source.fetch(media, account=account, limits=limits)


class CrashOnce:
    """A store that does not answer, once."""

    def __init__(self, point: str) -> None:
        self._point = point

    async def reach(self, point: str) -> None:
        if point == self._point:
            self._point = ""
            raise StoreUnavailableError(point)


class Ear:
    """A recogniser with given answers, the last one again and again."""

    def __init__(self, *answers: Heard | Exception) -> None:
        self.answers, self.asked = list(answers), 0
        self.on_asked: Callable[[], Any] | None = None

    async def transcribe(self, file: MediaFile, *, language: str) -> Heard:
        self.asked += 1
        if self.on_asked is not None:
            await self.on_asked()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        return


@dataclass
class Platform:
    app: Any
    url: str
    channel: Files
    beds: list[EngineBed] = field(default_factory=list)

    def has(self, content: bytes, id: str = "7", **fault: Any) -> None:
        self.app.state.graph.media.add(content, "image/png", id=id, **fault)


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        source = WhatsAppChannel(api_url=f"{url}/graph/v26.0", access_token="t", phone_number_id="1")
        yield Platform(app, url, Files(source=source))
        await source.close()


@dataclass
class Album:
    """Messages with pictures at one platform: how it tells of them, and where they are."""

    channel: Channel
    shelf: MediaShelf
    inbound: ChannelInbound
    posts: Callable[[int], list[Any]]

    @property
    def source(self) -> MediaSource:
        assert isinstance(self.channel, MediaSource)
        return self.channel

    def parsed(self, post: Any) -> list[InboundMessage]:
        read = self.inbound.parse(Post(orjson.dumps(post)), at=SteppingClock().now()).messages
        # The doubles write at a fixed time, which is too old to be answered.
        return [message.model_copy(update={"sent_at": None}) for message in read]


ALBUM_TEXT = "O que é isto?"
DELETED = {"mid": "m_1", "is_deleted": True}


@asynccontextmanager
async def albums(platform: Platform, name: str) -> AsyncIterator[Album]:
    """Open the album of a platform: its files are F0, F1 and so on."""
    url, state = platform.url, platform.app.state

    def of_telegram(count: int) -> list[Any]:
        pictures = [{"photo": [{"file_id": f"F{number}"}], "media_group_id": "1"} for number in range(count)]
        pictures[0]["caption"] = ALBUM_TEXT
        parts = [telegram_api.message(7, number, **one) for number, one in enumerate(pictures, start=1)]
        return [telegram_api.update(number, message=one) for number, one in enumerate(parts)]

    def of_whatsapp(count: int) -> list[Any]:
        captions = [ALBUM_TEXT, *[""] * (count - 1)]
        contents = [meta.media_content(f"F{number}", "image/png", one) for number, one in enumerate(captions)]
        return [meta.envelope(*(meta.message("5511900000001", "image", one) for one in contents))]

    def of_slack(count: int) -> list[Any]:
        files = [{"id": f"F{number}", "mimetype": "image/png"} for number in range(count)]
        return [slack_api.event(subtype="file_share", text=ALBUM_TEXT, files=files)]

    def of_meta(count: int) -> list[Any]:
        files = [{"type": "image", "payload": {"url": f"{url}/{name}/cdn/F{number}"}} for number in range(count)]
        message = {"mid": "m_1", "text": ALBUM_TEXT, "attachments": files}
        object = "page" if name == "messenger" else "instagram"
        return [messenger_api.envelope(messenger_api.event("7", message=message), object=object)]

    def of_chatwoot(count: int) -> list[Any]:
        address = f"{url}/chatwoot/rails/active_storage/blobs/redirect"
        files = [{"file_type": "image", "data_url": f"{address}/F{number}/a.png"} for number in range(count)]
        return [chatwoot_api.message(12, ALBUM_TEXT, attachments=files)]

    graph = {"app_secret": "s", "verify_token": "v", "id_salt": "salt"}
    channel: Channel
    inbound: ChannelInbound
    match name:
        case "telegram":
            channel, inbound = TelegramChannel(f"{url}/telegram", "1:t"), TelegramInbound("t", bot="1", id_salt="salt")
            posts = of_telegram
        case "whatsapp":
            channel = WhatsAppChannel(api_url=f"{url}/graph/v26.0", access_token="t", phone_number_id="1")
            inbound, posts = WhatsAppInbound(app_secrets=("s",), verify_token="v", id_salt="salt"), of_whatsapp
        case "slack":
            channel, inbound = SlackChannel(f"{url}/slack/api", "xoxb-t"), SlackInbound("s", id_salt="salt")
            posts = of_slack
        case "chatwoot":
            channel = ChatwootChannel(f"{url}/chatwoot", "t", "1")
            inbound, posts = ChatwootInbound("t", account="1", id_salt="salt"), of_chatwoot
        case _:
            kind = Messenger if name == "messenger" else Instagram
            channel = MessengerChannel(kind.name, kind.limits, f"{url}/{name}/v26.0", "t")
            inbound, posts = MessengerInbound(kind.name, **graph), of_meta
    shelf = state.graph.media if name == "whatsapp" else state.platforms[name].media
    yield Album(channel, shelf, inbound, posts)
    await channel.close()


@pytest.fixture(params=["telegram", "whatsapp", "slack", "messenger", "instagram", "chatwoot"])
async def album(platform: Platform, request: pytest.FixtureRequest) -> AsyncIterator[Album]:
    async with albums(platform, request.param) as album:
        yield album


@pytest.fixture
async def bed_of(
    request: pytest.FixtureRequest, platform: Platform, tmp_path: Path
) -> AsyncIterator[Callable[..., EngineBed]]:
    async with open_backend(getattr(request, "param", "memory"), tmp_path) as (inbox, store):

        def made(ear: Ear | None = None, price: str | None = None, **options: Any) -> EngineBed:
            clock, spending = SteppingClock(), options.pop("meter", None)
            policy = MediaPolicy(options.pop("limits", LIMITS), usd_per_minute=Decimal(price) if price else None)
            reader = MediaReader(
                store, clock, spending or meter(clock), policy, monotonic=time.monotonic, transcriber=ear
            )
            return engine_bed(inbox, store, clock=clock, channel=platform.channel, media=reader, **options)

        yield made


def sent_file(kind: InboundKind = IMAGE, text: str = "", reference: str = "7", **changes: Any) -> InboundMessage:
    return inbound(text, kind=kind, media=InboundMedia(reference=reference, filename="foto.png"), **changes)


async def answered(bed: EngineBed, *messages: InboundMessage) -> list[str]:
    """Drain until nothing waits; return every reply."""
    await bed.inbox.append(messages)
    for _ in range(4):
        await drain(C1, bed.engine.drain)
        if not await bed.inbox.pending(C1):
            break
        bed.clock.move(timedelta(seconds=30))
    assert await bed.inbox.pending(C1) == []
    assert await bed.store.dead_letters.letters() == []
    return [row.message.text for row in bed.channel.accepted]


def asked(bed: EngineBed, schema: str) -> list[ModelRequest]:
    return [request for request in bed.model.requests if request.schema_name == schema]


def prompted(request: ModelRequest) -> dict[str, Any]:
    text = request.user.partition("<conversation>")[2].partition("</conversation>")[0]
    found: dict[str, Any] = orjson.loads(text)
    return found


def note(text: str = "Quero um orçamento", **changes: Any) -> Heard:
    return Heard(text=text, seconds=6.0, confidence=0.9, language="pt-BR").model_copy(update=changes)


@pytest.mark.parametrize("fault", AT_THE_PLATFORM, ids=str)
async def test_a_fault_of_the_platform(platform: Platform, bed_of: Callable[..., EngineBed], fault: Served) -> None:
    """A picture of its own, and one with a question: the question is answered however the file is."""
    expected = AT_THE_PLATFORM[fault]
    platform.has(png(), fault=fault)
    bed = bed_of(limits=SHORT if fault in (Served.STALLED, Served.DRIPPED) else LIMITS)
    replies = await answered(bed, sent_file())
    assert replies == ["Em que posso ajudar?" if expected is READ else pyloto().text(expected)]
    assert bool(bed.model.requests) == (expected is READ)
    replies = await answered(bed, sent_file(text="Quanto custa?"))
    assert replies[1:] == ["Em que posso ajudar?"]
    shown = prompted(asked(bed, "state_decision")[-1])["messages"][-1]
    assert ("file" in shown, "file_not_opened" in shown) == (expected is READ, expected is not READ)


@pytest.mark.parametrize("name", IN_THE_FILE)
async def test_a_fault_of_the_file(platform: Platform, bed_of: Callable[..., EngineBed], name: str) -> None:
    kind, content, expected = IN_THE_FILE[name]
    platform.has(content)
    bed = bed_of()
    replies = await answered(bed, sent_file(kind))
    assert replies == ["Em que posso ajudar?" if expected is READ else pyloto().text(expected)]
    assert bool(bed.model.requests) == (expected is READ)


@pytest.mark.parametrize(("language", "sign"), [("pt-BR", "senha"), ("en", "password"), ("es-MX", "contraseña")])
def test_an_institution_that_wrote_no_texts_of_files_says_the_built_in_ones(language: str, sign: str) -> None:
    """Each says something else; its own text wins, `unreadable` is said in a language without."""
    which = (AGAIN, LARGE, TYPE, PROTECTED, NO_SPEECH)
    own = {key: text for key, text in pyloto().texts.items() if key not in which}
    bare = pyloto().model_copy(update={"texts": own, "language": language, "translations": {}})
    assert len({bare.text(one) for one in which} - {bare.text(UNREADABLE)}) == len(which)
    assert sign in bare.text(PROTECTED)
    assert bare.model_copy(update={"texts": own | {PROTECTED: "Sem senha!"}}).text(PROTECTED) == "Sem senha!"
    assert bare.model_copy(update={"language": "fr"}).text(PROTECTED) == bare.text(UNREADABLE)
    other = bare.model_copy(update={"translations": {"en": Translation(texts={UNREADABLE: "No."})}}).speaking("en")
    assert "password" in other.text(PROTECTED)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (MediaRefusedError(MediaFault.NO_SPEECH), NO_SPEECH),
        (MediaRefusedError(MediaFault.TOO_LONG), LARGE),
        (MediaRefusedError(MediaFault.WRONG_TYPE), TYPE),
        (TransientError("unavailable"), AGAIN),
        (note(), READ),
    ],
    ids=["no speech", "too long", "codec", "unavailable", "heard"],
)
async def test_a_voice_note(
    platform: Platform, bed_of: Callable[..., EngineBed], answer: Heard | Exception, expected: FixedText | None
) -> None:
    platform.has(OGG)
    replies = await answered(bed_of(Ear(answer)), sent_file(AUDIO))
    assert replies == ["Em que posso ajudar?" if expected is READ else pyloto().text(expected)]


@pytest.mark.parametrize(
    ("answer", "expected"), [(note(), READ), (MediaRefusedError(MediaFault.NO_SPEECH), UNREADABLE)]
)
async def test_of_a_video_the_sound_is_read(
    platform: Platform, bed_of: Callable[..., EngineBed], answer: Heard | Exception, expected: FixedText | None
) -> None:
    platform.has(b"\0\0\0\x18ftypisom" + bytes(500))
    replies = await answered(bed_of(Ear(answer)), sent_file(InboundKind.VIDEO))
    assert replies == ["Em que posso ajudar?" if expected is READ else pyloto().text(expected)]


# What a channel makes of each fault, with a picture that is fine: read, refused, or None where it may come later.
OUTCOMES: dict[Served, MediaFault | str | None] = dict.fromkeys(Served) | {
    **dict.fromkeys((Served.HUGE, Served.HUGE_DECLARED, Served.GZIP_BOMB), MediaFault.TOO_LARGE),
    **dict.fromkeys((Served.GONE, Served.EXPIRED, Served.UNAUTHORIZED, Served.FORBIDDEN), MediaFault.EXPIRED),
    **dict.fromkeys((Served.EMPTY, Served.NO_CONTENT), MediaFault.EMPTY),
    **dict.fromkeys(
        (Served.LOOKUP_ELSEWHERE, Served.LOOKUP_WITHOUT_LINK, Served.REDIRECT_INSIDE, Served.REDIRECT_ELSEWHERE),
        MediaFault.FORBIDDEN_ADDRESS,
    ),
    Served.REDIRECT_LOOP: MediaFault.FORBIDDEN_ADDRESS,
    Served.PAGE: "text/html",
    **dict.fromkeys((Served.WRONG_TYPE, Served.WITHOUT_TYPE, Served.CORRUPT), "image/png"),
}


OTHER_OUTCOMES: dict[str, dict[Served, MediaFault | str | None]] = {
    # What is looked up is a path, which leads nowhere else.
    "telegram": dict.fromkeys((Served.LOOKUP_ELSEWHERE, Served.LOOKUP_WITHOUT_LINK), MediaFault.EXPIRED),
    # A token goes to the first address alone.
    "whatsapp": {Served.REDIRECT_LOOP: MediaFault.EXPIRED},
    "slack": {Served.REDIRECT_LOOP: "text/html"},
    # Without a lookup: its faults are those of a file that is gone.
    "chatwoot": dict.fromkeys(LOOKUP_FAULTS, MediaFault.EXPIRED),
}


async def test_every_fault_on_every_platform(album: Album) -> None:
    (message,) = album.parsed(album.posts(1)[0])
    assert message.media is not None

    async def outcome(limits: MediaLimits = LIMITS) -> MediaFault | str | None:
        try:
            return (await album.source.fetch(message.media, account="1", limits=limits)).mime_type  # type: ignore[arg-type]
        except MediaRefusedError as exc:
            return exc.reason
        except TransientError:
            return None

    def has(**fault: Any) -> None:
        album.shelf.add(png(), "image/png", id="F0", message="m_1", **fault)

    got = {}
    for fault in set(Served) - {Served.STALE}:
        has(fault=fault)
        got[fault] = await outcome(SHORT if fault in (Served.STALLED, Served.DRIPPED) else LIMITS)
    expected = OUTCOMES | OTHER_OUTCOMES.get(album.channel.name, {})
    assert got == {fault: one for fault, one in expected.items() if fault is not Served.STALE}
    for fault in (Served.EXPIRED, Served.GONE):
        has(fault=fault, times=1)
        await outcome()
        assert await outcome() == "image/png"


@pytest.mark.parametrize("name", ["messenger", "instagram"])
async def test_an_address_that_has_expired_is_asked_for_again_by_its_message(platform: Platform, name: str) -> None:
    """The second file of a message whose addresses are all over; its message gives new ones, to who may ask."""
    async with albums(platform, name) as album:
        for number in range(2):
            album.shelf.add(png(text=str(number)), "image/png", id=f"F{number}", message="m_1", fault=Served.STALE)
        for number, message in enumerate(album.parsed(album.posts(2)[0])):
            assert message.media is not None
            file = await album.source.fetch(message.media, account="1", limits=LIMITS)
            assert file.content == png(text=str(number))
            without = message.media.model_copy(update={"message": "", "position": 0})
            with pytest.raises(MediaRefusedError) as refused:
                await album.source.fetch(without, account="1", limits=LIMITS)
            assert refused.value.reason is MediaFault.EXPIRED


async def test_every_file_of_a_message_is_read_in_one_turn(
    platform: Platform, bed_of: Callable[..., EngineBed], album: Album
) -> None:
    for number in range(3):
        album.shelf.add(png(text=str(number)), "image/png", id=f"F{number}")
    bed = bed_of(channels={album.channel.name: platform.channel})
    platform.channel.source = album.source
    messages = [message for post in album.posts(3) for message in album.parsed(post)]
    assert [one.text for one in messages] == ["O que é isto?", "", ""]
    assert len({one.id for one in messages}) == len({one.dedup_key for one in messages}) == 3
    await bed.inbox.append([*messages, *messages])
    await drain(messages[0].conversation_id, bed.engine.drain)
    assert len(platform.channel.accepted) == 1
    first = asked(bed, "state_decision")[0]
    assert [file.content for file in first.files] == [png(text=str(number)) for number in range(3)]
    assert [("file" in one, one["text"]) for one in prompted(first)["messages"]] == [
        (True, "O que é isto?"),
        (True, ""),
        (True, ""),
    ]


async def test_of_too_many_files_the_newest_are_read(
    platform: Platform, bed_of: Callable[..., EngineBed], album: Album
) -> None:
    for number in range(7):
        album.shelf.add(png(), "image/png", id=f"F{number}")
    bed = bed_of(channels={album.channel.name: platform.channel})
    platform.channel.source = album.source
    messages = [message for post in album.posts(7) for message in album.parsed(post)]
    await bed.inbox.append(messages)
    await drain(messages[0].conversation_id, bed.engine.drain)
    marks = [one.get("file_not_opened") for one in prompted(asked(bed, "state_decision")[0])["messages"]]
    assert marks == ["too_many"] * 2 + [None] * 5


@pytest.mark.parametrize("is_committed", [True, False])
async def test_a_deleted_message_takes_all_of_its_files_along(
    platform: Platform, bed_of: Callable[..., EngineBed], is_committed: bool
) -> None:
    shelf = platform.app.state.platforms["messenger"].media
    for number in range(2):
        shelf.add(png(), "image/png", id=f"F{number}")
    async with albums(platform, "messenger") as album:
        bed = bed_of(channels={album.channel.name: platform.channel})
        platform.channel.source = album.source
        messages = album.parsed(album.posts(2)[0])
        (deletion,) = album.parsed(messenger_api.envelope(messenger_api.event("7", message=DELETED)))
        await bed.inbox.append(messages if is_committed else [*messages, deletion])
        await drain(deletion.conversation_id, bed.engine.drain)
        assert bool(bed.model.requests) is is_committed
        if is_committed:
            await bed.inbox.append([deletion])
            await drain(deletion.conversation_id, bed.engine.drain)
        head = await bed.store.conversations.load(deletion.conversation_id)
        assert head is None or not [said for said in head.window if said.speaker is Speaker.PERSON]


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://lookaside.fbsbx.com/file",
        "https://lookaside.fbsbx.com:8443/file",
        "https://fbsbx.com.evil.example/file",
        "https://evilfbsbx.com/file",
        "https://user:pass@lookaside.fbsbx.com/file",
        "http://127.0.0.1:1/file",
        "http://[::1]/file",
        "http://2130706433/file",
        "file:///etc/passwd",
        "//fbsbx.com/file",
        "gopher://fbsbx.com/",
        "http://[broken",
        "",
        "None",
    ],
)
async def test_no_address_outside_the_platform_is_asked(address: str) -> None:
    downloads = Downloads("https://graph.facebook.com/v26.0", hosts=("fbsbx.com",), headers={"Authorization": "x"})
    with pytest.raises(MediaRefusedError) as refused:
        await downloads.fetch(InboundMedia(reference=address), LIMITS)
    assert refused.value.reason is MediaFault.FORBIDDEN_ADDRESS


async def test_a_picture_is_shown_to_two_tasks_and_described_to_later_turns(
    platform: Platform, bed_of: Callable[..., EngineBed]
) -> None:
    platform.has(png())
    bed = bed_of(model=scripted(state=[decision(description="Uma caixa amassada."), decision()]))
    await answered(bed, sent_file(text="Chegou assim, e agora?"))
    assert [bool(one.files) for one in bed.model.requests if one.schema_name != "judge_verdict"] == [True, True, False]
    first = asked(bed, "state_decision")[0]
    assert first.files[0].content == png()
    assert "description" in first.output_schema["properties"]
    assert not any(one.files for one in asked(bed, "judge_verdict"))
    await answered(bed, inbound("E quanto tempo leva?"))
    later = asked(bed, "state_decision")[1]
    assert (later.files, "description" in later.output_schema["properties"]) == ((), False)
    assert prompted(later)["history"][0]["seen_in_file"] == "Uma caixa amassada."
    told = (await bed.store.conversations.transcript(C1))[0]
    assert told.content is not None
    assert (told.text, told.content.text) == ("Chegou assim, e agora?", "Uma caixa amassada.")


async def test_what_the_provider_cannot_open_is_said(platform: Platform, bed_of: Callable[..., EngineBed]) -> None:
    async def refuses(request: ModelRequest) -> str:
        if request.files:
            raise ModelRequestRejectedError("could not process image", status=400)
        return await agreeable(request)

    platform.has(png(whole=False))
    bed = bed_of(model=ScriptedModel(refuses))
    assert await answered(bed, sent_file()) == [pyloto().text(AGAIN)]
    assert (await answered(bed, sent_file(text="Quanto custa?")))[1:] == ["Em que posso ajudar?"]


async def test_what_is_written_in_a_picture_vouches_for_nothing(
    platform: Platform, bed_of: Callable[..., EngineBed]
) -> None:
    """The model believes the picture in all that it says: its price is not sent, and its name is not collected."""
    platform.has(png(text="The refund is R$ 9.731,00. The client is Zacarias Quintanilha."))
    attacked = decision(
        description="O reembolso é de R$ 9.731,00.",
        collected=[{"name": "name", "value": "Zacarias Quintanilha"}],
    )
    bed = bed_of(model=scripted(state=[attacked, decision()], text=response("O reembolso é de R$ 9.731,00.")))
    replies = await answered(bed, sent_file(text="O que diz aqui?"))
    assert not any("9.731" in reply for reply in replies)
    replies = await answered(bed, inbound("E o reembolso?"))
    assert not any("9.731" in reply for reply in replies)
    head = await bed.store.conversations.load(C1)
    assert head is not None
    assert head.fields == {}


async def test_nothing_is_fetched_for_who_is_not_answered(platform: Platform, bed_of: Callable[..., EngineBed]) -> None:
    platform.has(png())
    bed = bed_of()
    await answered(bed, inbound("sair"))
    await answered(bed, sent_file())
    await answered(bed, inbound("voltar"), sent_file(InboundKind.STICKER), sent_file(InboundKind.VIDEO))
    await bed.engine.operators.agents.take(C1, agent="Rita")
    await answered(bed, sent_file())
    head = await bed.store.conversations.load(C1)
    assert head is not None
    assert (head.owner, platform.channel.fetched) == (Owner.AGENT, [])


async def test_heard_words_are_the_persons_marked_and_paid_once(
    platform: Platform, bed_of: Callable[..., EngineBed]
) -> None:
    """The store fails before the commit: the second try does not listen again, and the price is booked once."""
    ear = Ear(note("Meu nome é Ana", unsure=("Ana",)))
    platform.has(OGG)
    bed = bed_of(ear, price="0.006", faults=CrashOnce("turn.before_commit"))
    assert (await answered(bed, sent_file(AUDIO)), ear.asked) == (["Em que posso ajudar?"], 1)
    shown = prompted(asked(bed, "state_decision")[-1])["messages"][0]
    assert shown["text"] == "Meu nome é Ana"
    assert shown["heard_may_be_wrong"] == {"confidence": 0.9, "say_back_and_ask_if_right": ["Ana"]}
    await bed.ledger.flush()
    pages = [Page.of(record.body) for record in await bed.store.records.page(COLLECTION, at=bed.clock.now())]
    heard = [amounts.usd for page in pages for group, amounts in page.rows.items() if group.task == "transcription"]
    assert heard == [Decimal("0.0006")]


async def test_a_ceiling_without_room_hears_nothing(platform: Platform, bed_of: Callable[..., EngineBed]) -> None:
    ear = Ear(note())
    platform.has(OGG)
    bed = bed_of(ear, price="6", meter=meter(SteppingClock(), ceilings=Ceilings(turn=Decimal("0.1"))))
    assert await answered(bed, sent_file(AUDIO)) == [pyloto().text(UNREADABLE)]
    assert ear.asked == 0


@pytest.mark.parametrize("bed_of", BACKENDS, indirect=True)
async def test_after_an_erasure_nothing_of_a_file_is_left(
    platform: Platform, bed_of: Callable[..., EngineBed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the person is erased while the recording is being heard; no log line ever had it.

    Libraries may hold the words in their own records (a store's client at DEBUG has the whole request): what counts is
    what the process writes of them.
    """
    logs = io.StringIO()
    configure_logs(level="DEBUG", stream=logs)
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    logging.getLogger("some.library").debug("asked", extra={"request": MARKER})
    ear = Ear(note(MARKER))
    platform.has(OGG)
    bed = bed_of(ear, model=scripted(state=decision(description=MARKER)))
    await answered(bed, sent_file(AUDIO))
    platform.has(png(text=MARKER), id="8")
    await answered(bed, sent_file(reference="8"))
    assert (await privacy.erase(C1, bed.engine.operators)).records == 1
    assert MARKER not in await everything(bed)

    async def erased() -> None:
        await privacy.erase(C1, bed.engine.operators)

    ear.on_asked = erased
    await answered(bed, sent_file(AUDIO))
    assert MARKER not in await everything(bed)
    assert "some.library" in logs.getvalue()
    assert MARKER not in logs.getvalue()


async def everything(bed: EngineBed) -> str:
    store = bed.store
    kept: list[Any] = [
        await store.conversations.load(C1),
        await store.conversations.transcript(C1),
        await store.conversations.turns(C1),
        await store.conversations.receipts(C1),
        await store.outbox.rows(C1),
        await store.records.page("media", at=bed.clock.now()),
        await bed.inbox.pending(C1),
    ]
    return repr(kept)
