"""Tables of the layers, read as the caller."""

from __future__ import annotations

from control_room.model import Table
from control_room.operation import Operation, Request, fetch
from control_room.operations.tokens import data_bearer


def read(layer: str, table: str, token: str, limit: int = 100) -> Operation[Table]:
    """The first rows of a table; viewers read gold. Raises ApiError INPUT_NOT_FOUND."""
    bearer = yield from data_bearer(token)
    body = {"layer": layer, "table": table, "limit": limit}
    asked = Request("POST", "/rpc/read_table", body=body, door="data", bearer=bearer, repeatable=True)
    return (yield from fetch(Table, asked))
