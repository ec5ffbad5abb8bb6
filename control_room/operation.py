"""What is said to the server, apart from how it is sent.

An `Operation` is a generator: it yields a `Request` (send this, give me the reply) or a `Pause` (wait so
long) and returns its result. The two clients perform the same operations, one blocking, one awaiting; so
every rule (what is retried, when an upload is complete, how long to wait between two looks) is written once.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import httpx
from pydantic import ValidationError

from control_room.errors import ApiError, Unreachable
from control_room.model import Word

T = TypeVar("T")
W = TypeVar("W", bound=Word)

#: Where a path lies: below /functions/v1/api/v1 (`open`: for who has no token yet), below /rest/v1, or a URL
#: that is a right by itself and is told no token.
Door = Literal["api", "open", "data", "signed"]


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    door: Door = "api"
    #: Whether sending it twice is the same as once. Only then is it sent again after a failure.
    repeatable: bool = False
    #: Speak with this token instead of the client's.
    bearer: str | None = None


@dataclass(frozen=True)
class Pause:
    seconds: float


Step = Request | Pause
Reply = httpx.Response | httpx.TransportError | None
Operation = Generator[Step, Reply, T]

TRIES = 4
_PASSING = frozenset({429, 502, 503, 504})
_LONGEST_DELAY = 10.0


def exchange(request: Request) -> Operation[httpx.Response]:
    """One request and its good answer. Raises ApiError, Unreachable."""
    for attempt in range(1, TRIES + 1):
        reply = yield request
        last = attempt == TRIES or not request.repeatable
        if isinstance(reply, httpx.Response):
            if reply.is_success or reply.is_redirect:
                return reply
            if last or reply.status_code not in _PASSING:
                raise ApiError.of(reply.status_code, reply.text, reply.reason_phrase)
            yield Pause(pause_before(attempt, reply.headers.get("retry-after")))
        elif isinstance(reply, httpx.TransportError):
            if last:
                raise unreachable(reply) from reply
            yield Pause(pause_before(attempt))
    raise AssertionError("the last try returns or raises")


def fetch_json(request: Request) -> Operation[Any]:
    """As `exchange`, read as JSON."""
    response = yield from exchange(request)
    try:
        return response.json()
    except ValueError as error:
        raise _strange(response, "is no JSON", response.text[:200]) from error


def fetch(word: type[W], request: Request) -> Operation[W]:
    """As `exchange`, read as one of the API's words."""
    response = yield from exchange(request)
    try:
        return word.model_validate_json(response.content)
    except ValidationError as error:
        raise _strange(response, f"is no {word.__name__}", None) from error


def _strange(response: httpx.Response, what: str, shown: str | None) -> ApiError:
    """An answer in another form than the word's is not shown: there may be a token in it."""
    return ApiError(
        response.status_code,
        "ANSWER_INVALID",
        f"The answer {what}.",
        details=shown,
        hint="Check that SUPABASE_URL is that of a project with Control Room in it.",
    )


def query(**values: object) -> dict[str, str]:
    """Query values without those that are None, in the form that the server reads."""
    return {name: _form(value) for name, value in values.items() if value is not None}


def _form(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def pause_before(attempt: int, retry_after: str | None = None) -> float:
    """0.2, 0.8, 3.2 s with jitter; the server's own wish goes first."""
    if retry_after is not None and retry_after.strip().isdecimal():
        return min(float(retry_after), _LONGEST_DELAY)
    return 0.2 * float(4 ** (attempt - 1)) * random.uniform(0.8, 1.2)  # noqa: S311  jitter, no secret


def unreachable(error: httpx.TransportError) -> Unreachable:
    """What a transport's error means to people."""
    try:
        url = error.request.url
        where = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
    except RuntimeError:  # httpx: the error knows no request
        where = "the server"
    what = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
    reason = str(error) or type(error).__name__
    return Unreachable(
        f"{where} {what} ({reason})",
        "check SUPABASE_URL; is the local stack up? (scripts/stack status, scripts/stack up)",
    )
