"""The `Prefer` header."""

from dataclasses import dataclass
from typing import Literal

from dev.gateway import errors
from dev.gateway.asgi import Request

Representation = Literal["minimal", "headers-only", "representation"]
Count = Literal["exact", "planned", "estimated"]
Resolution = Literal["merge-duplicates", "ignore-duplicates"]


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the client would like; None where it did not say."""

    representation: Representation | None = None
    count: Count | None = None
    resolution: Resolution | None = None
    missing_default: bool = False
    strict: bool = False
    max_affected: int | None = None
    timezone: str | None = None

    def applied(self, *, writes: bool, inserts: bool = False, counts_affected: bool = False) -> str:
        """The value of `Preference-Applied`, empty if nothing was applied."""
        words = []
        if inserts and self.resolution:
            words.append(f"resolution={self.resolution}")
        if inserts and self.missing_default:
            words.append("missing=default")
        if writes and self.representation:
            words.append(f"return={self.representation}")
        if self.count:
            words.append(f"count={self.count}")
        if self.strict:
            words.append("handling=strict")
        if self.timezone:
            words.append(f"timezone={self.timezone}")
        if counts_affected and self.strict and self.max_affected is not None:
            words.append(f"max-affected={self.max_affected}")
        return ", ".join(words)


NONE = Preferences()


def parse(request: Request) -> Preferences:  # noqa: PLR0912 - one branch per word of the header
    """Read the header(s). Raises `errors.Refusal` (PGRST122) for unknown words under `handling=strict`."""
    lines = request.values(b"prefer")
    if not lines:
        return NONE
    representation: Representation | None = None
    count: Count | None = None
    resolution: Resolution | None = None
    missing_default = strict = False
    max_affected: int | None = None
    timezone: str | None = None
    unknown: list[str] = []
    for word in b",".join(lines).decode("utf-8", "replace").split(","):
        name, _, value = word.strip().partition("=")
        match name.strip(), value.strip():
            case "return", ("minimal" | "headers-only" | "representation") as wanted:
                representation = representation or wanted
            case "count", ("exact" | "planned" | "estimated") as wanted:
                count = count or wanted
            case "resolution", ("merge-duplicates" | "ignore-duplicates") as wanted:
                resolution = resolution or wanted
            case "missing", ("default" | "null") as wanted:
                missing_default = wanted == "default"
            case "handling", ("strict" | "lenient") as wanted:
                strict = wanted == "strict"
            case "max-affected", number if number.isdecimal() and len(number) < 10:
                max_affected = int(number)
            case "timezone", zone if zone:
                timezone = zone
            case "tx", ("commit" | "rollback"):
                pass  # not allowed on hosted projects, ignored there as here
            case "", "":
                pass
            case _:
                unknown.append(word.strip())
    if strict and unknown:
        raise errors.Refusal(
            400,
            "PGRST122",
            "Invalid preferences given with handling=strict",
            f"Invalid preferences: {', '.join(unknown)}",
        )
    return Preferences(representation, count, resolution, missing_default, strict, max_affected, timezone)
