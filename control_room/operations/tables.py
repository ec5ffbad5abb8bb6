"""Tables of the layers, read as the caller."""

from __future__ import annotations

from control_room.model import Table
from control_room.talk import Ask, Talk, ask_word
from control_room.talks.tokens import data_bearer


def read(layer: str, table: str, token: str, limit: int = 100) -> Talk[Table]:
    """The first rows of a table; viewers read gold. Raises ApiError INPUT_NOT_FOUND."""
    bearer = yield from data_bearer(token)
    body = {"layer": layer, "table": table, "limit": limit}
    asked = Ask("POST", "/rpc/read_table", body=body, door="data", bearer=bearer, repeatable=True)
    return (yield from ask_word(Table, asked))
