"""Refusals and how they look on the wire: PostgREST's `{"code","message","details","hint"}`.

Sources: PostgREST's documentation of errors and its observable behaviour up to v16.
"""

import json
from collections.abc import Mapping
from typing import Any

from psycopg import pq

Headers = list[tuple[bytes, bytes]]


class Refusal(Exception):
    """A request ends here. `status` is HTTP's; `details` and `hint` may be None or any JSON value."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: object = None,
        hint: object = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.hint = hint
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """The JSON that clients see."""
        return _json({"code": self.code, "message": self.message, "details": self.details, "hint": self.hint})

    def lines(self) -> Headers:
        """The header lines of the answer, without the length."""
        lines = [
            (b"content-type", b"application/json; charset=utf-8"),
            (b"proxy-status", b"PostgREST; error=" + self.code.encode("ascii", "replace")),
        ]
        lines += [(name.lower().encode("latin-1"), _field(value)) for name, value in self.headers.items()]
        return lines


class KeyRefusal(Refusal):
    """The API key in front of everything is missing or wrong; shaped as the hosted gateway shapes it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(401, "API_KEY", message, None, hint)

    def body(self) -> bytes:
        return _json({"message": self.message, "hint": self.hint})


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _field(value: str) -> bytes:
    """A header value made safe: line breaks would start a new header."""
    return value.replace("\r", " ").replace("\n", " ").encode("utf-8")


def body_too_large(limit: int) -> Refusal:
    return Refusal(413, "PGRST102", "Request body too large", f"At most {limit} bytes are accepted.")


def invalid_token(code: str, message: str) -> Refusal:
    """401: a token that cannot be verified (PGRST301) or whose claims do not hold (PGRST303)."""
    challenge = f'Bearer error="invalid_token", error_description="{message}"'
    return Refusal(401, code, message, headers={"WWW-Authenticate": challenge})


def no_api_key() -> Refusal:
    return KeyRefusal("No API key found in request", "No `apikey` request header or url param was found.")


def wrong_api_key() -> Refusal:
    return KeyRefusal("Invalid API key", "Double check your Supabase `anon` or `service_role` API key.")


def unreachable(details: str) -> Refusal:
    return Refusal(503, "PGRST000", "Database connection error. Retrying the connection.", details)


def busy() -> Refusal:
    return Refusal(504, "PGRST003", "Timed out acquiring connection from connection pool.")


def no_catalog() -> Refusal:
    return Refusal(503, "PGRST002", "Could not query the database for the schema cache. Retrying.")


def bad_query(message: str, details: str) -> Refusal:
    return Refusal(400, "PGRST100", message, details)


def bad_body(message: str = "Empty or invalid json") -> Refusal:
    return Refusal(400, "PGRST102", message)


def bad_range(details: str) -> Refusal:
    return Refusal(416, "PGRST103", "Requested range not satisfiable", details)


def bad_path() -> Refusal:
    return Refusal(404, "PGRST125", "Invalid path specified in request URL")


def bad_method(method: str) -> Refusal:
    return Refusal(405, "PGRST117", f"Unsupported HTTP method: {method}")


def not_singular(rows: int) -> Refusal:
    return Refusal(
        406,
        "PGRST116",
        "Cannot coerce the result to a single JSON object",
        f"The result contains {rows} rows",
    )


def too_many_affected(rows: int) -> Refusal:
    return Refusal(
        400,
        "PGRST124",
        "Query result exceeds max-affected preference constraint",
        f"The query affects {rows} rows",
    )


def from_postgres(result: pq.abc.PGresult, *, authenticated: bool) -> Refusal:
    """The refusal for a failed statement. `authenticated`: the role was not taken from the anon key alone."""

    def field(name: pq.DiagnosticField) -> str | None:
        value = result.error_field(name)
        return None if value is None else value.decode("utf-8", "replace")

    code = field(pq.DiagnosticField.SQLSTATE)
    if code is None:
        return unreachable(result.error_message.decode("utf-8", "replace").strip())
    message = field(pq.DiagnosticField.MESSAGE_PRIMARY) or ""
    details = field(pq.DiagnosticField.MESSAGE_DETAIL)
    hint = field(pq.DiagnosticField.MESSAGE_HINT)
    if code == "PGRST":
        return _raised(message, details)
    status = status_of(code, message, authenticated=authenticated)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return Refusal(status, code, message, details, hint, headers=headers)


_BY_CODE = {
    "23503": 409,
    "23505": 409,
    "25006": 405,
    "42883": 404,
    "42P01": 404,
    "42P17": 500,
    "53400": 500,
    "57P01": 503,
    "P0001": 400,
}
_BY_CLASS = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "25": 500,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 500,
    "58": 500,
    "F0": 500,
    "HV": 500,
    "P0": 500,
    "XX": 500,
}


def status_of(code: str, message: str, *, authenticated: bool) -> int:
    """HTTP's status for an SQLSTATE, by PostgREST's table."""
    if code == "42501":
        return 403 if authenticated else 401
    if code == "21000":
        # the one case of this class that is the client's fault
        return 400 if message.endswith("requires a WHERE clause") else 500
    if code == "22023" and message.startswith("role") and message.endswith("does not exist"):
        return 401
    if code.startswith("PT"):
        number = code[2:]
        return int(number) if number.isdecimal() and 100 <= int(number) <= 599 else 500
    return _BY_CODE.get(code) or _BY_CLASS.get(code[:2], 400)


def _raised(message: str, details: str | None) -> Refusal:
    """`raise sqlstate 'PGRST'`: message and detail are JSON and decide the whole answer."""
    said = _object(message)
    if said is None or not {"code", "message"} <= said.keys():
        return _unparsable(f"Invalid JSON value for MESSAGE: '{message}'", for_message=True)
    if details is None:
        return _unparsable("DETAIL is missing in the RAISE statement")
    shape = _object(details)
    if (
        shape is None
        or not isinstance(shape.get("status"), int)
        or not isinstance(shape.get("headers"), dict)
    ):
        return _unparsable(f"Invalid JSON value for DETAIL: '{details}'")
    return Refusal(
        shape["status"],
        str(said["code"]),
        str(said["message"]),
        said.get("details"),
        said.get("hint"),
        headers={str(name): str(value) for name, value in shape["headers"].items()},
    )


def _unparsable(details: str, *, for_message: bool = False) -> Refusal:
    hint = (
        "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' "
        "and optional keys: 'details', 'hint'."
        if for_message
        else "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' "
        "and optional key: 'status_text'."
    )
    return Refusal(
        500, "PGRST121", "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error", details, hint
    )


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
