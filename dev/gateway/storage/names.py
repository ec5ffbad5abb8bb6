"""Names of buckets and keys of objects, as far as Storage takes them."""

import re

from dev.gateway.storage import refusal

_KEY = re.compile(r"[A-Za-z0-9_/!.*'() &$@=;:+,?-]{1,1024}", re.ASCII)
_BUCKET_NAME = re.compile(r"[A-Za-z0-9_!.*'() &$@=;:+,?-]{1,100}", re.ASCII)


def bucket(name: str) -> str:
    """The name itself. Raises 400 for what cannot be one."""
    if not _BUCKET_NAME.fullmatch(name):
        raise refusal.invalid_bucket_name()
    return name


def key(name: str) -> str:
    """The key itself. Raises 400 for what cannot be one."""
    # Hosted would keep `..` as a name; clients and proxies fold it away, so nobody can mean it.
    if not _KEY.fullmatch(name) or any(part in (".", "..") for part in name.split("/")):
        raise refusal.invalid_key(name)
    return name
