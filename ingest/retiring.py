"""What retention.toml asks for: which documents are past their time, and erasing those."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from ingest.forget import Erased, Eraser
from ingest.keeping import Keeping
from ingest.retention import Terms
from ragplatform.catalog import DocumentEntry, SqlCatalog
from ragplatform.errors import InvalidRequestError
from ragplatform.model import Labels


@dataclass(frozen=True, slots=True)
class Due:
    """A document that is past its time, by which rule, and what keeps it all the same."""

    entry: DocumentEntry
    since: date
    rule: str
    kept: str | None


@dataclass(frozen=True, slots=True)
class Explained:
    """How long one document is kept, and why."""

    entry: DocumentEntry
    labels: Labels
    terms: Terms
    kept: str | None


def due(catalog: SqlCatalog, keeping: Keeping, tenant: str) -> Iterator[Due]:
    """Yield the tenant's documents that are past their time today, in order of document id."""
    classes = catalog.classes(tenant)
    today = keeping.today
    for entry in catalog.documents(tenant):
        labels = classes[entry.access_class]
        terms = keeping.retention.terms(entry, labels)
        if terms.due is not None and terms.due_by is not None and terms.due <= today:
            yield Due(entry, terms.due, terms.due_by.id, keeping.why_kept(entry, labels))


def explain(catalog: SqlCatalog, keeping: Keeping, tenant: str, document: str) -> Explained:
    """Return how long a document is kept. Raises ``InvalidRequestError`` when there is none."""
    entry = catalog.document(document)
    if entry is None or entry.tenant != tenant:
        raise InvalidRequestError("no document of this tenant has that id")
    labels = catalog.classes(tenant)[entry.access_class]
    terms = keeping.retention.terms(entry, labels)
    return Explained(entry, labels, terms, keeping.why_kept(entry, labels))


def apply(found: list[Due], eraser: Eraser) -> Erased:
    """Erase what is past its time and nothing keeps, on record under its rule."""
    going = [one for one in found if one.kept is None]
    rules: Mapping[str, str] = {one.entry.document: one.rule for one in going}
    return eraser.documents([one.entry for one in going], rules=rules)
