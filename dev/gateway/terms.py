"""The words of a Data API query: what is selected, under which conditions, in which order."""

from dataclasses import dataclass
from typing import Literal

Arrow = Literal["->", "->>"]
Junction = Literal["and", "or"]


@dataclass(frozen=True, slots=True)
class Field:
    """A column and the way into its JSON; an index in `path` is an int."""

    name: str
    path: tuple[tuple[Arrow, str | int], ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of `select`; the field's name is `*` for all columns."""

    field: Field
    alias: str | None = None
    cast: str | None = None


_ALL = Item(Field("*"))


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition. `values` holds one text, or the members of `in`.

    `modifier` is any or all (of an array literal), or the language of a text search.
    """

    field: Field
    operator: str
    values: tuple[str, ...]
    negated: bool = False
    modifier: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions joined by and/or."""

    junction: Junction
    members: tuple["Condition", ...]
    negated: bool = False


Condition = Filter | Group


@dataclass(frozen=True, slots=True)
class Order:
    """One entry of `order`; None leaves Postgres' default."""

    field: Field
    direction: Literal["asc", "desc"] | None = None
    nulls: Literal["first", "last"] | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query string. `arguments` are those of an RPC by GET, in order, names may repeat."""

    select: tuple[Item, ...] = (_ALL,)
    conditions: tuple[Condition, ...] = ()
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] | None = None
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def plain(self) -> bool:
        """Nothing is selected, filtered, ordered or cut: the rows are wanted as they come."""
        return (
            self.select == (_ALL,)
            and not self.conditions
            and not self.order
            and self.limit is None
            and not self.offset
        )


EMPTY = Query()
