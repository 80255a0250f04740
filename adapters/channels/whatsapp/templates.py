"""Message templates of the token's business accounts, as the Graph API lists them.

Fields and states: Meta's reference of `message_templates`; only an approved one is sent.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from adapters.channels.asking import WITHIN
from adapters.channels.whatsapp import WhatsAppSettings
from adapters.channels.whatsapp.doctor import Examination
from adapters.http.client import open_client
from contracts.messages import Template

FIELDS = "name,language,category,status,components"
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
    async with open_client(within=WITHIN) as client:
        return [ListedTemplate.of(one) for one in await Examination(settings, client).templates(FIELDS)]


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
