"""Injected faults of the tasks, with their rates."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from sandbox.behaviour import AnyLatency, Latency, Milliseconds, Rate, Setting

# Faults of a delivery's token.
TokenFault = StrEnum(
    "TokenFault",
    "FOREIGN_KEY UNKNOWN_KEY_ID WRONG_AUDIENCE WRONG_ISSUER WRONG_EMAIL UNVERIFIED_EMAIL EXPIRED NOT_YET_VALID "
    "UNSIGNED SYMMETRIC ABSENT",
)


class TasksBehaviour(Setting):
    """The faults. Rates are probabilities in [0, 1]; the defaults are a service on a good day.

    `create_fault` is the status of a failed creation: of the next `create_fails_next` ones, and of a share of
    `create_failed`. With `created_anyway` the task exists nevertheless and only the response was bad. A `dropped` task
    vanishes unseen, a `doubled` delivery is made twice at the same time, a `held_back` one comes up to `held_back_ms`
    late, so that others overtake it.
    """

    seed: int | None = None
    create_latency: AnyLatency = Latency()
    create_fault: Literal["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL"] = "UNAVAILABLE"
    create_fails_next: Annotated[int, Field(ge=0)] = 0
    create_failed: Rate = 0
    created_anyway: bool = False
    dropped: Rate = 0
    doubled: Rate = 0
    held_back: Rate = 0
    held_back_ms: Milliseconds = 100
    token_fault: TokenFault | None = None
