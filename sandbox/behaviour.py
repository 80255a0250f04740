"""Behaviour of the test doubles: latencies, faults with their rates, and scripted answers."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from contracts.conversation import TaskName
from sandbox.chance import Dice

Rate = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0, le=600_000)]


class Setting(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Latency(Setting):
    """Time to answer: exactly `median_ms`, or log-normal around it when `sigma` is given. A bare number is a median."""

    median_ms: Milliseconds = 0
    sigma: Annotated[float, Field(ge=0, le=3)] = 0


AnyLatency = Annotated[
    Latency, BeforeValidator(lambda value: {"median_ms": value} if isinstance(value, int | float) else value)
]


class ModelFault(StrEnum):
    """Faults of a model call; each has a rate of the same name in `ModelBehaviour`."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    CUT_BEFORE_HEADERS = "cut_before_headers"
    CUT_AFTER_HEADERS = "cut_after_headers"
    STREAM_ERROR = "stream_error"
    INVALID_JSON = "invalid_json"
    WRONG_SCHEMA = "wrong_schema"
    ILLEGAL_STATE = "illegal_state"
    REFUSAL = "refusal"
    MAX_TOKENS = "max_tokens"
    EMPTY_TEXT = "empty_text"
    SLOW_DRIP = "slow_drip"


class ScriptedAnswer(Setting):
    """A scripted answer to a coming call: the first matching entry is used, `times` times.

    It matches by `task` (any when None) and by `contains`, a part of the user turns. `answer` is sent unchanged,
    whatever the schema requires (a string as the raw text), but for a reply of `{"text"}` alone, which is sent as one
    part that cites every passage; `update` replaces keys of the regular answer; `fault` makes
    the call fail instead.
    """

    task: TaskName | None = None
    contains: str | None = None
    answer: dict[str, Any] | str | None = None
    update: dict[str, Any] = Field(default_factory=dict)
    fault: ModelFault | None = None
    times: Annotated[int, Field(ge=1)] = 1

    def matches(self, task: TaskName | None, text: str) -> bool:
        return self.task in (None, task) and (self.contains is None or self.contains in text)


JudgeMode = Literal["oracle", "nowhere", "empty", "obeys"]


class ModelBehaviour(Setting):
    """Behaviour of the model. Rates are probabilities in [0, 1] per call; `fault_tasks` limits them to some tasks.

    As local servers do: `without_output_config` refuses that parameter, `without_forced_tools` answers in words
    whatever tool is forced, `without_usage` counts no tokens, `fenced` wraps JSON that was requested in words in a code
    block.

    The judge is an oracle for `cheats` and the built-in ones. `judge` makes it name a sentence that is not there
    (`nowhere`), answer `{}` (`empty`), or find nothing where a sentence speaks to it (`obeys`); `judge_errs` is the
    rate of verdicts that are turned round.
    """

    mode: Literal["normal", "cheating"] = "normal"
    cheats: tuple[str, ...] = ()
    judge: JudgeMode = "oracle"
    judge_errs: Rate = 0
    seed: int | None = None
    latency: AnyLatency = Latency()
    task_latency: dict[TaskName, AnyLatency] = Field(default_factory=dict)

    rate_limited: Rate = 0
    overloaded: Rate = 0
    server_error: Rate = 0
    cut_before_headers: Rate = 0
    cut_after_headers: Rate = 0
    stream_error: Rate = 0
    invalid_json: Rate = 0
    wrong_schema: Rate = 0
    illegal_state: Rate = 0
    refusal: Rate = 0
    max_tokens: Rate = 0
    empty_text: Rate = 0
    slow_drip: Rate = 0
    fault_tasks: tuple[TaskName, ...] | None = None
    retry_after_seconds: Annotated[float, Field(ge=0, le=3600)] = 1
    slow_drip_ms: Milliseconds = 5_000

    stream_chunk_characters: Annotated[int, Field(ge=1)] = 24
    stream_interval_ms: Milliseconds = 0
    cache_follows_format: bool = False
    without_output_config: bool = False
    without_forced_tools: bool = False
    without_usage: bool = False
    fenced: bool = False
    script: tuple[ScriptedAnswer, ...] = ()

    def rate_of(self, fault: ModelFault) -> float:
        rate: float = getattr(self, fault.value)
        return rate

    def latency_of(self, task: TaskName | None) -> Latency:
        return self.task_latency.get(task, self.latency) if task else self.latency


class SendFault(StrEnum):
    """Faults of a send; the first three happen before the platform accepts the message."""

    SERVER_ERROR_PAGE = "server_error_page"
    UNAVAILABLE = "unavailable"
    CUT_BEFORE_ACCEPTING = "cut_before_accepting"
    CUT_AFTER_ACCEPTING = "cut_after_accepting"


class ScriptedSend(Setting):
    """Scripted outcome of a coming send: a `fault`, an error `code`, or a `failed_code` of a later status."""

    to: str | None = None
    fault: SendFault | None = None
    code: int | None = None
    failed_code: int | None = None
    times: Annotated[int, Field(ge=1)] = 1

    def matches(self, to: str) -> bool:
        return self.to is None or self.to.lstrip("+") == to.lstrip("+")


class StatusBehaviour(Setting):
    """The statuses that follow a message: which ones, how long after it was accepted, and in what disorder.

    `shuffled` is the rate of messages whose statuses change places, `duplicated` of statuses that come twice;
    `before_response` sends the first one before the send itself is answered. Statuses due within `batch_ms` of each
    other share a webhook.
    """

    kinds: tuple[Literal["sent", "delivered", "read", "played"], ...] = ("sent", "delivered", "read")
    after_ms: dict[str, Milliseconds] = Field(default_factory=lambda: {"sent": 20.0, "delivered": 60.0, "read": 150.0})
    shuffled: Rate = 0
    duplicated: Rate = 0
    before_response: bool = False
    batch_ms: Milliseconds = 0
    batch_size: Annotated[int, Field(ge=1, le=1000)] = 100
    failed: Rate = 0
    failed_codes: tuple[int, ...] = (131026,)
    attempts: Annotated[int, Field(ge=1, le=20)] = 6
    backoff_ms: Milliseconds = 200


class AccessToken(StrEnum):
    """State of every access token but `invalid`."""

    LASTING = "lasting"
    TEMPORARY = "temporary"
    EXPIRED = "expired"
    REFUSED = "refused"


class PlatformBehaviour(Setting):
    """Behaviour of a chat platform. `error_rates` maps a code of it to its rate, `"131056": 0.1` for one in ten."""

    seed: int | None = None
    latency: AnyLatency = Latency()
    error_rates: dict[int, Rate] = Field(default_factory=dict)
    server_error_page: Rate = 0
    unavailable: Rate = 0
    cut_before_accepting: Rate = 0
    cut_after_accepting: Rate = 0
    script: tuple[ScriptedSend, ...] = ()
    statuses: StatusBehaviour = StatusBehaviour()

    def fault(self, dice: Dice) -> SendFault | None:
        return next((fault for fault in SendFault if dice.happens(fault.value, getattr(self, fault.value))), None)

    def error_code(self, dice: Dice) -> int | None:
        return next((code for code, rate in self.error_rates.items() if dice.happens(f"code {code}", rate)), None)


class GraphBehaviour(PlatformBehaviour):
    """The WhatsApp side. `reorders`: of two messages that are on their way to a person, the later is shown first."""

    reorders: bool = False
    pair_rate: bool = False
    closed_windows: bool = False
    known_people: tuple[str, ...] = ()
    brazilian_numbers_without_nine: bool = False
    token: AccessToken = AccessToken.LASTING
    missing_scopes: tuple[str, ...] = ()
    unknown_numbers: tuple[str, ...] = ()
    quality_rating: str = "GREEN"
    code_verification_status: str = "VERIFIED"
    messaging_limit_tier: str = "TIER_UNLIMITED"
    subscribed: bool = True
    templates: tuple[dict[str, Any], ...] = ()


Entry = TypeVar("Entry", bound=ScriptedAnswer | ScriptedSend)


class Script(Generic[Entry]):
    """Queue of scripted entries; taking from it changes it, so it is the one mutable value here."""

    def __init__(self, entries: tuple[Entry, ...] = ()) -> None:
        self._waiting = [(entry, entry.times) for entry in entries]

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, matches: Callable[[Entry], bool]) -> Entry | None:
        for index, (entry, times) in enumerate(self._waiting):
            if matches(entry):
                self._waiting[index : index + 1] = [(entry, times - 1)] if times > 1 else []
                return entry
        return None


class Counters:
    """Numbers by name, for the page and for tests."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def add(self, name: str, by: int = 1) -> None:
        self._numbers[name] = self._numbers.get(name, 0) + by

    def all(self) -> dict[str, int]:
        return dict(sorted(self._numbers.items()))

    def clear(self) -> None:
        self._numbers.clear()
