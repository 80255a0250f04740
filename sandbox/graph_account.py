"""Answers of the Graph API about a token, a number and a business account to those who read before they send."""

import hmac
from hashlib import sha256
from typing import Any

from sandbox.behaviour import AccessToken, GraphBehaviour
from sandbox.graph_validation import GraphError

APP_ID, BUSINESS_ACCOUNT_ID = "670843887433847", "102289599326934"
EXPIRED_AT, EXPIRES_AT = 1_767_225_600, 4_102_444_800
SCOPES = ("whatsapp_business_management", "whatsapp_business_messaging")
PATHS = "cannot be loaded due to missing permissions, or does not support this operation"


def check_token(token: str, behaviour: GraphBehaviour) -> None:
    """Raises GraphError for a token that the platform does not take."""
    if not token or token == "invalid" or behaviour.token is AccessToken.REFUSED:
        raise GraphError(190, "Invalid OAuth access token - Cannot parse access token")
    if behaviour.token is AccessToken.EXPIRED:
        raise GraphError(
            190,
            message="Error validating access token: Session has expired on Wednesday, 31-Dec-25 16:00:00 PST. "
            "The current time is Monday, 30-Nov-26 08:00:00 PST.",
            subcode=463,
        )


def check_proof(proof: str | None, *, token: str, app_secret: str) -> None:
    """Raises GraphError for a proof that was not made of this token under the app's secret; none is fine."""
    expected = hmac.new(app_secret.encode(), token.encode(), sha256).hexdigest()
    if proof is not None and not hmac.compare_digest(proof, expected):
        raise GraphError(
            100, message="Invalid appsecret_proof provided in the API argument", kind="GraphMethodException"
        )


def debugged(behaviour: GraphBehaviour) -> dict[str, Any]:
    scopes = [scope for scope in SCOPES if scope not in behaviour.missing_scopes]
    return {
        "data": {
            "app_id": APP_ID,
            "type": "SYSTEM_USER",
            "application": "Prosa sandbox",
            "data_access_expires_at": 0,
            "expires_at": EXPIRES_AT if behaviour.token is AccessToken.TEMPORARY else 0,
            "is_valid": True,
            "scopes": [*scopes, "public_profile"],
            "granular_scopes": [{"scope": scope, "target_ids": [BUSINESS_ACCOUNT_ID]} for scope in scopes],
            "user_id": "10222270944537964",
        }
    }


def number(phone_number_id: str, fields: str, behaviour: GraphBehaviour) -> dict[str, Any]:
    """The asked fields of a number. Raises GraphError: the token sees no such number."""
    if phone_number_id in behaviour.unknown_numbers or SCOPES[0] in behaviour.missing_scopes:
        raise unknown_object(phone_number_id)
    known = {
        "verified_name": "Prosa sandbox",
        "display_phone_number": "+55 19 5550-0100",
        "quality_rating": behaviour.quality_rating,
        "code_verification_status": behaviour.code_verification_status,
        "messaging_limit_tier": behaviour.messaging_limit_tier,
    }
    asked = {name: known[name] for name in fields.split(",") if name in known}
    return {**asked, "id": phone_number_id}


def subscribed_apps(business_account_id: str, behaviour: GraphBehaviour) -> dict[str, Any]:
    if business_account_id != BUSINESS_ACCOUNT_ID:
        raise unknown_object(business_account_id)
    app = {"id": APP_ID, "name": "Prosa sandbox", "link": f"https://www.facebook.com/games/?app_id={APP_ID}"}
    return {"data": [{"whatsapp_business_api_data": app}] if behaviour.subscribed else []}


def unknown_object(id: str) -> GraphError:
    message = f"Unsupported get request. Object with ID '{id}' does not exist, {PATHS}."
    return GraphError(100, message=message, subcode=33, kind="GraphMethodException")
