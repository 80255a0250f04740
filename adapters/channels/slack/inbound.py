"""Slack inbound: a signature with a clock, events, and interactions. Source: Slack, The Events API, Block Kit.

A conversation is a direct channel, or a thread of another one, where the app is mentioned. The same words come as
`message` and as `app_mention`, and again with every retry: channel and `ts` are their key.
"""

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs

from adapters.channels.reading import Content, Reader, dict_in, dicts_in, moment_of, required, text_of
from contracts.channels import OriginRefusedError, Post, Received
from contracts.errors import MalformedMessageError
from contracts.media import InboundMedia
from contracts.messages import ChannelName, InboundKind

LATEST = timedelta(minutes=5)
SPOKEN = frozenset({"", "file_share", "thread_broadcast", "me_message"})
OTHER_EVENTS = frozenset(
    {"reaction_added", "reaction_removed", "member_joined_channel", "app_home_opened", "tokens_revoked"}
)
# A mention, a channel or a link: `<@U1>`, `<@U1|ana>`, `<#C1|geral>`, `<https://...|words>`, `<!here>`.
_REFERENCE = re.compile(r"<([@#!]?)([^|<>]+)(?:\|([^<>]*))?>")
MIME_KINDS = {"image": InboundKind.IMAGE, "video": InboundKind.VIDEO, "audio": InboundKind.AUDIO}


class SlackInbound:
    """Satisfies the `ChannelInbound` port."""

    max_body = 1024 * 1024

    def __init__(self, signing_secret: str, *, id_salt: str) -> None:
        self._signing_secret, self._id_salt = signing_secret, id_salt

    def handshake(self, query: Mapping[str, str]) -> str:
        raise OriginRefusedError("Slack sends its challenge by POST.")

    def verify(self, post: Post, *, at: datetime) -> None:
        timestamp, given = (post.header(name) or "" for name in (b"x-slack-request-timestamp", b"x-slack-signature"))
        is_number = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12
        if not is_number or abs(at - datetime.fromtimestamp(int(timestamp), UTC)) > LATEST:
            raise OriginRefusedError("X-Slack-Request-Timestamp is more than five minutes from now.")
        expected = signature(self._signing_secret, timestamp, post.body)
        if not self._signing_secret or not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
            raise OriginRefusedError(
                "X-Slack-Signature is not the HMAC of timestamp and body under the signing secret."
            )

    def parse(self, post: Post, *, at: datetime) -> Received:
        reader = _Post(ChannelName.SLACK, "slack", self._id_salt, at)
        content_type = post.header(b"content-type") or ""
        if content_type.startswith("application/x-www-form-urlencoded"):
            form = parse_qs(post.body.decode("utf-8", "replace"))
            payload = form.get("payload", [""])[0].encode()
            if not payload and "command" in form:
                reader.ignored.append("command")
                return reader.received("")
            interaction = reader.envelope(payload, lambda one: "type" in one, "not an interaction of Slack")
            if interaction is not None:
                reader.one("interaction", interaction, reader.read_interaction)
            # Slack shows the body of the answer to the person.
            return reader.received("")
        envelope = reader.envelope(post.body, lambda one: "type" in one, "not an event of Slack")
        if envelope is None:
            return reader.received()
        if envelope.get("type") == "url_verification":
            return reader.received(text_of(envelope.get("challenge"))[:1024])
        if envelope.get("type") != "event_callback":
            reader.ignored.append("app_rate_limited" if envelope.get("type") == "app_rate_limited" else "other")
            return reader.received()
        reader.one("event", envelope, reader.read_event)
        return reader.received()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return Slack's signature of a post, version 0."""
    return "v0=" + hmac.digest(secret.encode(), f"v0:{timestamp}:".encode() + body, "sha256").hex()


class _Post(Reader):
    def read_event(self, envelope: dict[str, Any]) -> None:
        event, team = dict_in(envelope, "event"), required(envelope, "team_id")
        bots = {text_of(one.get("user_id")) for one in dicts_in(envelope, "authorizations")}
        subtype = text_of(event.get("subtype"))
        if event.get("type") not in ("message", "app_mention"):
            kind = text_of(event.get("type"))
            self.ignored.append(kind if kind in OTHER_EVENTS else "other")
        elif subtype in ("message_changed", "message_deleted"):
            self._read_revision(event, team, bots, is_deleted=subtype == "message_deleted")
        elif subtype not in SPOKEN or _is_of_a_bot(event, bots):
            # Two bots would answer each other without end.
            self.ignored.append("bot_message" if _is_of_a_bot(event, bots) else "subtype")
        else:
            content = Content(InboundKind.TEXT, _readable(text_of(event.get("text")), bots))
            if files := [_file(one) for one in dicts_in(event, "files")]:
                content = Content.of_files(content.text, files)
            self._put(content, event, event, team, bots, key=required(event, "ts"))

    def _read_revision(self, event: dict[str, Any], team: str, bots: set[str], *, is_deleted: bool) -> None:
        """Read an edit or a deletion; the unfurling of a link is a change too, without another text."""
        before, after = dict_in(event, "previous_message"), dict_in(event, "message")
        message = before if is_deleted else after
        if _is_of_a_bot(message, bots) or (not is_deleted and before.get("text") == after.get("text")):
            self.ignored.append("message_changed")
            return
        kind = InboundKind.REVOKE if is_deleted else InboundKind.EDIT
        ts = required(message, "ts")
        text = "" if is_deleted else _readable(text_of(message.get("text")), bots)
        content = Content(kind, text, data={"to": ts})
        self._put(content, event, message, team, bots, key=f"{ts}/{required(event, 'ts')}", revises=ts)

    def read_interaction(self, payload: dict[str, Any]) -> None:
        """Read a button or a row of a list that was chosen."""
        actions = dicts_in(payload, "actions")
        if payload.get("type") != "block_actions" or not actions:
            self.ignored.append("interaction")
            return
        action, message = actions[0], dict_in(payload, "message")
        option = dict_in(action, "selected_option") or action
        chosen, title = text_of(option.get("value")), text_of(dict_in(option, "text").get("text"))
        if not chosen:
            raise MalformedMessageError("an action without a value")
        where = {
            "channel": dict_in(payload, "channel").get("id"),
            "thread_ts": message.get("thread_ts") or message.get("ts"),
            "user": dict_in(payload, "user").get("id"),
            "ts": action.get("action_ts"),
        }
        content = Content(InboundKind.CHOICE, title or chosen, chosen)
        team = required(dict_in(payload, "team"), "id")
        self._put(content, where, where, team, None, key=f"action/{required(payload, 'trigger_id')}")

    def _put(
        self,
        content: Content,
        event: dict[str, Any],
        message: dict[str, Any],
        team: str,
        bots: set[str] | None,
        *,
        key: str,
        revises: str = "",
    ) -> None:
        """Add a message of a direct channel, or of the thread of a mention; without `bots` it needs none."""
        channel, user = required(event, "channel"), required(message, "user")
        is_direct = channel.startswith("D")
        thread = "" if is_direct else f"/{text_of(message.get('thread_ts')) or text_of(message.get('ts'))}"
        is_mention = event.get("type") == "app_mention" or bots is None
        if (
            not is_direct
            and not is_mention
            and not any(f"<@{bot}" in text_of(message.get("text")) for bot in bots or ())
        ):
            self.ignored.append("not_mentioned")
            return
        self.add(
            content,
            account=team,
            person=f"{channel}{thread}",
            platform_id=f"{channel}/{key}",
            aliases=[user],
            revises=f"{channel}/{revises}" if revises else "",
            sent_at=moment_of(text_of(event.get("ts")).partition(".")[0]),
        )


def _is_of_a_bot(message: dict[str, Any], bots: set[str]) -> bool:
    return bool(message.get("bot_id") or message.get("bot_profile") or message.get("subtype") == "bot_message") or (
        text_of(message.get("user")) in bots
    )


def _file(file: dict[str, Any]) -> Content:
    mime_type = text_of(file.get("mimetype"))
    media = InboundMedia(reference=text_of(file.get("id")), mime_type=mime_type, filename=text_of(file.get("name")))
    return Content(MIME_KINDS.get(mime_type.partition("/")[0], InboundKind.DOCUMENT), media=media)


def _readable(text: str, bots: set[str]) -> str:
    """Return the text as its writer sees it, without the mention of the app."""

    def shown(match: re.Match[str]) -> str:
        sign, target, label = match.groups()
        if sign == "@" and target in bots:
            return ""
        if sign:
            return ("#" if sign == "#" else "@") + (label or target)
        address = target.removeprefix("mailto:").removeprefix("tel:")
        return f"{label} ({address})" if label and label not in (address, target) else address

    return unescape(_REFERENCE.sub(shown, text)).strip()
