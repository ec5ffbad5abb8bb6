"""Refusals in Storage's own form: `{"statusCode","error","message"}`, nearly always as HTTP 400."""

import json

from dev.gateway import errors


class StorageRefusal(Exception):
    """`status` is the one inside the body; HTTP's is 400, except for 416 and 5xx."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message

    @property
    def http_status(self) -> int:
        return self.status if self.status == 416 or self.status >= 500 else 400

    def body(self) -> bytes:
        return json.dumps(
            {"statusCode": str(self.status), "error": self.error, "message": self.message}, ensure_ascii=False
        ).encode("utf-8", "replace")


def invalid_key(key: str) -> StorageRefusal:
    return StorageRefusal(400, "InvalidKey", f"Invalid key: {key}")


def invalid_bucket_name() -> StorageRefusal:
    return StorageRefusal(400, "Invalid Input", "Bucket name invalid")


def no_bucket() -> StorageRefusal:
    return StorageRefusal(404, "Bucket not found", "Bucket not found")


def no_object() -> StorageRefusal:
    return StorageRefusal(404, "not_found", "Object not found")


def no_upload() -> StorageRefusal:
    return StorageRefusal(404, "not_found", "The file for this url was not found")


def no_route(method: str, path: str) -> StorageRefusal:
    return StorageRefusal(404, "Not Found", f"Route {method}:{path} not found")


def too_large() -> StorageRefusal:
    return StorageRefusal(413, "Payload too large", "The object exceeded the maximum allowed size")


def no_content() -> StorageRefusal:
    return StorageRefusal(400, "InvalidRequest", "No content provided")


def bad_type(mime: str) -> StorageRefusal:
    return StorageRefusal(415, "invalid_mime_type", f"mime type {mime} is not supported")


def bad_request(message: str) -> StorageRefusal:
    return StorageRefusal(400, "Error", message)


def denied(message: str) -> StorageRefusal:
    return StorageRefusal(403, "Unauthorized", message)


def bad_signature(error: str, message: str) -> StorageRefusal:
    return StorageRefusal(400, error, message)


def from_postgres(refusal: errors.Refusal) -> StorageRefusal:  # noqa: PLR0911 - a table
    """What Storage makes of a failed statement."""
    match refusal.code:
        case "42501":
            return denied(
                "new row violates row-level security policy"
                if "row-level security" in refusal.message
                else refusal.message
            )
        case "23505":
            return StorageRefusal(409, "Duplicate", "The resource already exists")
        case "23503":
            if "is still referenced" in str(refusal.details):
                return StorageRefusal(409, "ResourceNotEmpty", "The bucket you tried to delete is not empty")
            return StorageRefusal(404, "404", "The related resource does not exist")
        case "57014":
            return StorageRefusal(544, "DatabaseTimeout", "The connection to the database timed out")
        case "22P02":
            return StorageRefusal(400, "InvalidParameter", refusal.message)
        case _:
            if refusal.status >= 500:
                return StorageRefusal(refusal.status, "DatabaseError", refusal.message)
            return StorageRefusal(500, "DatabaseError", f"database error, code: {refusal.code}")
