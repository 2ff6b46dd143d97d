"""What the routes of erasure take and give."""

import json
from datetime import datetime

from pydantic import BaseModel, Field, JsonValue

from ingest.api.schemas import Name
from ingest.erasure_orders import Fate
from ingest.erasures import Ended, Ordered
from ingest.queue import RunState
from ragplatform.api.schemas import Body
from ragplatform.model import Purpose


class ErasureBody(Body):
    """What is to go: exactly one of `document` and `subjects`."""

    purpose: Purpose = Field(examples=["PATRQT"])
    document: Name | None = Field(None, description="Id of one document.")
    subjects: list[Name] | None = Field(
        None,
        min_length=1,
        max_length=10_000,
        description="Raw ids of people, such as `mrn:4471230`: every document about them.",
    )
    dry_run: bool = Field(False, description="Say what would go.")


class KeptOut(BaseModel):
    """Somebody, by keyed reference, of whom something has to stay."""

    subject: str
    why: str


class ErasureOut(BaseModel):
    """What went, or would go. People are named by keyed references alone."""

    id: str | None = Field(description="Id of the certificate; null for a dry run.")
    dry_run: bool
    documents: list[str]
    subjects: list[str]
    chunks: int
    values: int = Field(description="How many values the vault kept.")
    removed: dict[str, int] = Field(description="What went, by place.")
    records: list[str] = Field(description="Records of the audit log, by log and number.")
    kept: list[KeptOut] = Field(
        [], description="Of a dry run with several people: of whom something has to stay."
    )
    certificate: dict[str, JsonValue] | None = Field(
        description="Keep it: `ragplatform-ingest certificate verify` checks it anywhere."
    )

    @classmethod
    def of(cls, ended: Ended) -> "ErasureOut":
        """Return what went for the wire."""
        erased = ended.erased
        return cls(
            id=ended.certificate or None,
            dry_run=not ended.certificate,
            documents=erased.documents,
            subjects=erased.subjects,
            chunks=erased.chunks,
            values=erased.values,
            removed=erased.removed,
            records=[f"{one.origin}/{one.index}" for one in erased.records],
            kept=[KeptOut(subject=one.id, why=one.why) for one in ended.kept],
            certificate=json.loads(ended.text) if ended.text else None,
        )


class NamedOut(BaseModel):
    """One that an order names. Only what is `certified` is gone from every file."""

    number: int = Field(description="Its place in the order, from 1.")
    kind: str = Field(description="`subject`, by keyed reference, or `document`.")
    id: str
    fate: Fate
    certificate: str | None = Field(
        description="Id of its certificate: `/v1/erasures/{id}/certificate`."
    )
    why: str | None = Field(description="Why it stays.")


class ErasureOrderOut(BaseModel):
    """An order to erase, and how far it is. Its id is that of a run, which can be followed."""

    id: str
    state: RunState
    asked_by: str
    purpose: Purpose
    asked_at: datetime
    waiting: int
    certified: int
    kept: int
    named: list[NamedOut] = Field(description="In order; empty in the answer to the order.")

    @classmethod
    def of(cls, ordered: Ordered) -> "ErasureOrderOut":
        """Return an order for the wire."""
        standing = ordered.standing
        return cls(
            id=standing.erasure,
            state=ordered.state,
            asked_by=standing.asked_by,
            purpose=standing.purpose,
            asked_at=standing.asked_at,
            waiting=standing.counts[Fate.WAITING],
            certified=standing.counts[Fate.CERTIFIED],
            kept=standing.counts[Fate.KEPT],
            named=[
                NamedOut(
                    number=one.number,
                    kind=str(one.kind),
                    id=one.id,
                    fate=one.fate,
                    certificate=one.certificate or None,
                    why=one.why or None,
                )
                for one in ordered.named
            ],
        )
