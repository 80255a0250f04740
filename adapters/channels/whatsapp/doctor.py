"""Checks of WhatsApp's settings with the Graph API: token, permissions, number, app secret and subscription.

Documented by Meta: `debug_token` with the token itself ("Permissions" of the WhatsApp platform), `appsecret_proof` for
every call ("Secure Graph API calls"), the fields of a business phone number, `subscribed_apps` of a business account.
The callback address and the verify token cannot be read with a system user's token.
"""

import hmac
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from adapters.channels.asking import Question, questions
from adapters.channels.platform import Refusal
from adapters.channels.whatsapp import WhatsAppSettings
from contracts.findings import Finding, Health
from contracts.messages import Template

FIELDS = "verified_name,display_phone_number,quality_rating,code_verification_status,messaging_limit_tier"
MANAGEMENT, MESSAGING = "whatsapp_business_management", "whatsapp_business_messaging"
LASTING = (
    "make a token of a system user in Meta's business settings, which does not expire, and set WHATSAPP_ACCESS_TOKEN"
)

TOKEN_REFUSED, PARAMETER, UNKNOWN_OBJECT = 190, 100, 33
# The only one of the platform's texts that is shown: others may repeat the token.
_EXPIRED = re.compile(r"has expired on ([\w ,:-]{10,60})\.")


async def examine(settings: WhatsAppSettings) -> Finding:
    """Read the platform's view of the settings; nothing is sent or changed."""
    async with _asking(settings) as ask:
        return await Examination(settings, ask).finding()


async def subscribe(settings: WhatsAppSettings) -> Finding:
    """Let every business account of the token send its webhooks to the app; the address is set in its dashboard."""
    async with _asking(settings) as ask:
        accounts = await Examination(settings, ask).subscribe()
    step = "enter the address and WHATSAPP_VERIFY_TOKEN on WhatsApp's page Configuration of the app dashboard"
    return Finding("whatsapp", Health.NOTE, f"subscribed: {', '.join(accounts)}", step)


def _asking(settings: WhatsAppSettings) -> AbstractAsyncContextManager[Question]:
    authorization = f"Bearer {settings.access_token.get_secret_value()}"
    return questions(settings.api_url, "WHATSAPP_API_URL", Authorization=authorization)


class Examination:
    """One token and one number at one address."""

    def __init__(self, settings: WhatsAppSettings, ask: Question) -> None:
        self._token, app_secret = settings.access_token.get_secret_value(), settings.app_secret.get_secret_value()
        self._proof = hmac.new(app_secret.encode(), self._token.encode(), sha256).hexdigest()
        self._numbers, self._new_people = settings.numbers, settings.new_people_per_day
        self._url, self._ask = settings.api_url.rstrip("/"), ask

    async def finding(self) -> Finding:
        token = await self._read_token()
        details, notes = list[str](), list[tuple[str, str]]()
        if isinstance(expires_at := token.get("expires_at"), int) and expires_at:
            notes.append(
                (f"the token expires at {datetime.fromtimestamp(expires_at, UTC):%Y-%m-%d %H:%M} UTC", LASTING)
            )
        for number_id in self._numbers:
            number = await self._read(quote(number_id, safe=""), fields=FIELDS)
            details.append(f"{number.get('display_phone_number', number_id)}, {number.get('verified_name', 'no name')}")
            verification = number.get("code_verification_status", "VERIFIED")
            if verification != "VERIFIED":
                notes.append((f"the number is {verification}", "verify it in WhatsApp Manager"))
            if number.get("quality_rating") == "RED":
                notes.append(("its quality is RED", "WhatsApp Manager says what people report; its limits may fall"))
            # Where more people may be written to first than the platform's tier takes, it refuses the others.
            tier = re.fullmatch(r"TIER_(\d+)(K?)", str(number.get("messaging_limit_tier", "")))
            most = int(tier[1]) * (1_000 if tier[2] else 1) if tier else None
            if most is not None and (self._new_people is None or self._new_people > most):
                step = f"set WHATSAPP_NEW_PEOPLE_PER_DAY={most}: templates beyond it wait instead of being refused"
                notes.append((f"{most:,} new people in 24 hours", step))
        notes += await self._notes_of_subscription(token)
        detail = "; ".join([*details, *(note for note, _ in notes)])
        return Finding("whatsapp", Health.NOTE if notes else Health.OK, detail, "; ".join(step for _, step in notes))

    async def _read_token(self) -> dict[str, Any]:
        """Read permissions and expiry of the token."""
        token: dict[str, Any] = (await self._read("debug_token", input_token=self._token)).get("data", {})
        missing = [scope for scope in (MESSAGING, MANAGEMENT) if scope not in token.get("scopes", [])]
        if missing:
            step = "give the system user this permission, make another token, and set WHATSAPP_ACCESS_TOKEN"
            raise Refusal(f"the token lacks the permission {' and '.join(missing)}", step)
        return token

    async def _notes_of_subscription(self, token: dict[str, Any]) -> Sequence[tuple[str, str]]:
        """Check that an account of the token sends webhooks to the token's app; the callback address is not read."""
        accounts = _accounts(token)
        if not accounts:
            return []
        for account in accounts:
            apps = (await self._read(f"{quote(account, safe='')}/subscribed_apps")).get("data", [])
            if any(app.get("whatsapp_business_api_data", {}).get("id") == token.get("app_id") for app in apps):
                return []
        step = (
            f"prosa channels setup whatsapp, or POST {self._url}/{accounts[0]}/subscribed_apps with the token, "
            "as docs/runbook/subscription-lost.md says"
        )
        raise Refusal("no business account of the token sends its webhooks to the app: no message arrives", step)

    async def templates(self, fields: str) -> list[dict[str, Any]]:
        """Read the templates of every account that the token manages, page after page."""
        found = list[dict[str, Any]]()
        for account in _accounts(await self._read_token()):
            after: str | None = ""
            while after is not None:
                path, asked = f"{quote(account, safe='')}/message_templates", {"after": after} if after else {}
                page = await self._read(path, fields=fields, limit="200", **asked)
                found += page.get("data", [])
                paging = page.get("paging", {})
                after = paging.get("cursors", {}).get("after") if paging.get("next") else None
        return found

    async def subscribe(self) -> list[str]:
        """Subscribe the app to every account that the token manages, and return these."""
        accounts = _accounts(await self._read_token())
        for account in accounts:
            await self._read(f"{quote(account, safe='')}/subscribed_apps", method="POST")
        return accounts

    async def _read(self, path: str, *, method: str = "GET", **parameters: str) -> dict[str, Any]:
        """Ask the Graph API with the proof of the app secret. Raises Refusal: it did not answer, or refuses."""
        parameters["appsecret_proof"] = self._proof
        answer = await self._ask(method, f"/{path}", params=parameters)
        if 200 <= answer.status <= 299:
            return answer.content
        error = answer.content.get("error")
        raise self._refusal(answer.status, error if isinstance(error, dict) else {})

    def _refusal(self, status: int, error: dict[str, Any]) -> Refusal:
        code, subcode, message = error.get("code"), error.get("error_subcode"), str(error.get("message", ""))
        if code == TOKEN_REFUSED:
            expired = _EXPIRED.search(message)
            return Refusal(f"the token expired on {expired[1]}" if expired else "the token is refused (190)", LASTING)
        if code == PARAMETER and "appsecret_proof" in message:
            step = "take WHATSAPP_APP_SECRET from the basic settings of the app that made the token"
            return Refusal("the app secret is not that of the token's app: webhooks would be refused", step)
        if (code, subcode) == (PARAMETER, UNKNOWN_OBJECT):
            step = (
                "take WHATSAPP_PHONE_NUMBER_ID from WhatsApp's page in the app dashboard (it is no telephone number), "
                "and assign its business account to the system user"
            )
            return Refusal(f"the token sees no number {' or '.join(self._numbers)}", step)
        if code == 10 or (isinstance(code, int) and 200 <= code <= 299):
            step = "assign the business account to the system user in Meta's business settings"
            return Refusal(f"the token may not read it ({code})", step)
        step = "try again later; https://metastatus.com/whatsapp-business-api says whether the platform has trouble"
        return Refusal(f"{self._url} answers {status} ({code}/{subcode})", step)


def _accounts(token: dict[str, Any]) -> list[str]:
    """Return the business accounts that the token manages."""
    granted = (scope for scope in token.get("granular_scopes", []) if scope.get("scope") == MANAGEMENT)
    return [str(account) for scope in granted for account in scope.get("target_ids", [])]


TEMPLATE_FIELDS = "name,language,category,status,components"
APPROVED = "APPROVED"
_PARAMETER = re.compile(r"\{\{\s*\w+\s*\}\}")


@dataclass(frozen=True)
class ListedTemplate:
    """Template of the platform; `parameters` are those of its body, `status` its word (`APPROVED`, `PAUSED` ...)."""

    name: str
    language: str
    category: str
    status: str
    parameters: int

    @classmethod
    def of(cls, content: dict[str, Any]) -> "ListedTemplate":
        bodies = [one.get("text", "") for one in content.get("components", []) if one.get("type") == "BODY"]
        named = {key: str(content.get(key, "")) for key in ("name", "language", "category", "status")}
        return cls(**named, parameters=len(set(_PARAMETER.findall(" ".join(bodies)))))

    def view(self) -> dict[str, Any]:
        return asdict(self)


async def read_templates(settings: WhatsAppSettings) -> list[ListedTemplate]:
    """Read every template of the accounts that the token manages.

    Raises:
        Refusal: the platform did not answer, or refuses; the text says what to do.
    """
    async with _asking(settings) as ask:
        return [ListedTemplate.of(one) for one in await Examination(settings, ask).templates(TEMPLATE_FIELDS)]


def problem_of(template: Template, listed: Iterable[ListedTemplate]) -> str | None:
    """Return why the platform would refuse the template; None: it would not."""
    named = [one for one in listed if one.name == template.name]
    found = next((one for one in named if one.language == template.language), None)
    if found is None:
        languages = ", ".join(one.language for one in named)
        return f"it exists in {languages} only" if languages else "the platform has no template of that name"
    if found.status != APPROVED:
        return f"it is {found.status}"
    if found.parameters != len(template.parameters):
        return f"it takes {found.parameters} parameters, the documents give {len(template.parameters)}"
    if found.category.lower() != template.category:
        return f"its category is {found.category.lower()}, the documents say {template.category}"
    return None
