"""Values of granted secrets, from the environment of the runner. They are never stored and never logged.

A secret NAME is looked for as CONTROL_ROOM_SECRET_NAME, then under its own name. That the tenant may have
it was decided by the database, at submit and at claim; here only names that would change how programs start
are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from runner.model.errors import Permanent
from runner.model.termination import TerminationCode

PREFIX = "CONTROL_ROOM_SECRET_"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_RESERVED = frozenset(
    {"PATH", "HOME", "LANG", "TZ", "RUN_ID", "ATTEMPT", "TENANT_SLUG", "TRACEPARENT", "PWD", "SHELL", "IFS"}
    | {"ENV"}
)
_RESERVED_PREFIXES = (
    "LD_",
    "DYLD_",
    "PYTHON",
    "BASH_",
    "JAVA_",
    "SPARK_",
    "CONTROL_ROOM_",
    "GCONV_",
    "GLIBC_",
    "MALLOC_",
)


class Vault:
    """Knows the values; hands out those of one attempt."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def values(self, names: Iterable[str], *, elsewhere: bool = False) -> dict[str, str]:
        """Name to value. Raises Permanent(NOT_GRANTED) for a name nobody may use, SECRET_UNAVAILABLE for a
        missing one; where the executor may know of it `elsewhere` (a Secret of a cluster) it is left out."""
        found: dict[str, str] = {}
        for name in names:
            if not _NAME.fullmatch(name) or name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
                raise Permanent(TerminationCode.NOT_GRANTED, f"{name[:64]!r} cannot be the name of a secret")
            value = self._environment.get(PREFIX + name) or self._environment.get(name)
            if value is None:
                if elsewhere:
                    continue
                raise Permanent(
                    TerminationCode.SECRET_UNAVAILABLE, f"the runner has no value for the secret {name}"
                )
            found[name] = value
        return found
