"""What all of them are: read as it came, kept whole."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

JsonObject = dict[str, Any]


class Word(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    def raw(self) -> JsonObject:
        """What the server said, ready for `json.dumps`."""
        return self.model_dump(mode="json", exclude_unset=True, by_alias=True)


Item = TypeVar("Item", bound=Word)


class Page(Word, Generic[Item]):
    """One page of a list; `next` is the cursor of the following one, or None."""

    items: list[Item]
    next: str | int | None = None
