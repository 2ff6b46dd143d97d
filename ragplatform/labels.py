"""Labels as the one text by which they are hashed and kept."""

import json

from ragplatform.model import Category, Labels, Sensitivity


def canonical_labels(labels: Labels) -> str:
    """Return the one JSON text of these labels: equal labels, equal text.

    ``retain_until`` stands in it only where there is one: labels hash as they did before it was.
    """
    kept = {"retain_until": labels.retain_until} if labels.retain_until else {}
    return json.dumps(
        {
            **kept,
            "categories": sorted(labels.categories),
            "collection": labels.collection,
            "department": labels.department,
            "restrictions": sorted(labels.restrictions),
            "sensitivity": int(labels.sensitivity),
            "state": labels.state,
            "tenant": labels.tenant,
        },
        sort_keys=True,
        separators=(",", ":"),
    )


def labels_of(text: str) -> Labels:
    """Return the labels of a canonical text.

    Raises ``KeyError``, ``TypeError`` or ``ValueError`` for another text; whether it is canonical
    is told by the hash.
    """
    document = json.loads(text)
    return Labels(
        tenant=document["tenant"],
        collection=document["collection"],
        sensitivity=Sensitivity(document["sensitivity"]),
        department=document["department"],
        categories=frozenset(Category(kind) for kind in document["categories"]),
        restrictions=frozenset(document["restrictions"]),
        state=document["state"],
        retain_until=document.get("retain_until", ""),
    )
