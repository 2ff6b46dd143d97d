"""Routes on what ingest put aside: look, and decide, each as who calls."""

from typing import Annotated

from fastapi import FastAPI, Query, Request

from ingest.api.quarantine_schemas import (
    DecisionBody,
    ItemOut,
    ItemRelabelBody,
    ItemsOut,
    OrderedOut,
    ShownOut,
)
from ingest.api.runs import asking
from ingest.api.schemas import Name, PurposeBody
from ingest.aside import ItemState
from ingest.quarantine_orders import QuarantineOrders
from ragplatform.api.caller import Caller
from ragplatform.api.fairness import ONE_TURN
from ragplatform.api.schemas import Collection
from ragplatform.model import Purpose

_ITEMS = "/v1/quarantine"
_ITEM = _ITEMS + "/{document}"


def add_routes(app: FastAPI, orders: QuarantineOrders) -> None:
    """Add the routes under ``/v1/quarantine``."""
    _add_looks(app, orders)
    _add_decisions(app, orders)
    _add_tries(app, orders)


def _add_looks(app: FastAPI, orders: QuarantineOrders) -> None:
    @app.get(_ITEMS, tags=["quarantine"])
    def items(
        request: Request,
        who: Caller,
        purpose: Purpose,
        collection: Collection | None = None,
        reason: Annotated[str | None, Query(max_length=128)] = None,
        state: ItemState | None = None,
    ) -> ItemsOut:
        """List what was put aside, the oldest first."""
        found = orders.items(
            asking(request, who, purpose), collection=collection, reason=reason, state=state
        )
        return ItemsOut(items=[ItemOut.of(item) for item in found])

    @app.get(_ITEM, tags=["quarantine"], dependencies=[ONE_TURN])
    def one_item(
        request: Request,
        who: Caller,
        document: Name,
        purpose: Purpose,
        characters: Annotated[int, Query(ge=0, le=100_000)] = 2000,
    ) -> ShownOut:
        """Say why a document is here, and show its text with everything found in it masked."""
        shown = orders.show(asking(request, who, purpose), document, characters=characters)
        return ShownOut.shown(shown)


def _add_decisions(app: FastAPI, orders: QuarantineOrders) -> None:
    @app.post(_ITEM + ":release", tags=["quarantine"], dependencies=[ONE_TURN])
    def release(request: Request, who: Caller, document: Name, body: DecisionBody) -> ItemOut:
        """Ask that a document be let in. Another person approves it; until then it stays out."""
        asked = asking(request, who, body.purpose)
        return ItemOut.of(orders.release(asked, document, body.reason))

    @app.post(_ITEM + ":approve", status_code=202, tags=["quarantine"], dependencies=[ONE_TURN])
    def approve(request: Request, who: Caller, document: Name, body: DecisionBody) -> OrderedOut:
        """Agree to a release that somebody else asked for. A worker takes the document in."""
        asked = asking(request, who, body.purpose)
        return OrderedOut.of(orders.approve(asked, document, body.reason))

    @app.post(_ITEM + ":reject", status_code=204, tags=["quarantine"], dependencies=[ONE_TURN])
    def reject(request: Request, who: Caller, document: Name, body: DecisionBody) -> None:
        """Destroy a document's bytes here; the same bytes are not put aside again."""
        orders.reject(asking(request, who, body.purpose), document, body.reason)


def _add_tries(app: FastAPI, orders: QuarantineOrders) -> None:
    @app.post(_ITEM + ":relabel", status_code=202, tags=["quarantine"], dependencies=[ONE_TURN])
    def relabel(request: Request, who: Caller, document: Name, body: ItemRelabelBody) -> OrderedOut:
        """Give a document other labels, which outlive those of its source, and try it again."""
        asked = asking(request, who, body.purpose)
        return OrderedOut.of(orders.relabel(asked, document, body.changes(), body.reason))

    @app.post(_ITEM + ":retry", status_code=202, tags=["quarantine"], dependencies=[ONE_TURN])
    def retry(request: Request, who: Caller, document: Name, body: PurposeBody) -> OrderedOut:
        """Take a document through all gates again, from the bytes that are kept."""
        return OrderedOut.of(orders.retry(asking(request, who, body.purpose), document))
