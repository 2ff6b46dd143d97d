"""What the routes of the quarantine take and give."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from ingest.api.schemas import LabelsBody, RunOut
from ingest.aside import Item, ItemState
from ingest.quarantine import Shown
from ingest.queue import QueuedRun
from ragplatform.api.schemas import Body
from ragplatform.audit.reasons import LONGEST_REASON
from ragplatform.model import Purpose

Why = Annotated[
    str,
    Field(max_length=LONGEST_REASON, description="Why, for a reviewer; sealed in the record."),
]


class DecisionBody(Body):
    """A decision about what was put aside."""

    purpose: Purpose = Field(examples=["COMPLIANCE"])
    reason: Why


class ItemRelabelBody(LabelsBody):
    """Labels to be given by hand to what was put aside."""

    purpose: Purpose = Field(examples=["COMPLIANCE"])
    reason: Why


class ItemOut(BaseModel):
    """One document that was put aside. No name and no text of it is in here."""

    document: str
    collection: str
    reason: str = Field(description="Why it is here.")
    since: datetime
    size: int
    kept: bool = Field(description="Whether its bytes are here; without them its source is needed.")
    run: str
    put_by: str
    state: ItemState
    asked_by: str
    asked_until: datetime | None
    decided_by: str

    @classmethod
    def of(cls, item: Item) -> "ItemOut":
        """Return the item for the wire."""
        return cls.model_validate(item, from_attributes=True)


class ItemsOut(BaseModel):
    """What is put aside, the oldest first."""

    items: list[ItemOut]


class ShownOut(ItemOut):
    """One document with what may be seen of it: everything found, however uncertain, is masked."""

    name: str
    detail: str
    sensitivity: Literal["public", "internal", "confidential", "restricted"]
    department: str
    restrictions: list[str]
    asked_why: str
    held_by: list[str] = Field(description="All reasons that keep it out.")
    found: dict[str, int] = Field(description="Values found, by type.")
    characters: int = Field(description="How long its text is.")
    text: str | None = Field(description="Null for what is no sound file, or was not kept.")

    @classmethod
    def shown(cls, shown: Shown) -> "ShownOut":
        """Return the item and what is seen of it for the wire."""
        labels = shown.item.labels
        return cls.model_validate(
            {
                **ItemOut.of(shown.item).model_dump(),
                "name": shown.name,
                "detail": shown.detail,
                "sensitivity": labels.sensitivity.name.lower(),
                "department": labels.department,
                "restrictions": sorted(labels.restrictions),
                "asked_why": shown.asked_why,
                "held_by": sorted(shown.held_by),
                "found": dict(shown.found),
                "characters": shown.characters,
                "text": shown.text,
            }
        )


class OrderedOut(BaseModel):
    """The run that takes the document in; null where its bytes are not here: run its source."""

    run: RunOut | None

    @classmethod
    def of(cls, run: QueuedRun | None) -> "OrderedOut":
        """Return the order for the wire."""
        return cls(run=None if run is None else RunOut.of(run))
