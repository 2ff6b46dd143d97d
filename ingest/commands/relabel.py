"""Give documents other labels."""

from typing import Annotated

import typer

from ingest import life_wiring
from ingest.commands import console
from ragplatform.errors import InvalidRequestError
from ragplatform.model import Json


def relabel(
    tenant: console.Tenant,
    document: Annotated[str | None, typer.Argument(help="Id of one document.")] = None,
    collection: Annotated[
        str | None, typer.Option(help="Instead of one document, all of this collection.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="sensitivity=, department=, restriction=, retain_until=, state=; repeatable. "
            "An empty restriction= removes all."
        ),
    ] = None,
    lift_legal_hold: Annotated[
        bool, typer.Option(help="Act as legal, which may take the label legal-hold away.")
    ] = False,
    as_json: console.AsJson = False,
) -> None:
    """Give documents other labels without embedding them anew. Holds from the next question on.

    Labels given so outlive those of the source. Without any label, finishes what was cut off.
    """
    with console.exits():
        wanted = changes(label or [])
        role = "legal" if lift_legal_hold else "compliance"
        with life_wiring.relabeller(console.settings(), tenant, role) as desk:
            done = desk.finish()
            if document is not None and collection is None and wanted:
                done = desk.document(document, wanted)
            elif collection is not None and document is None and wanted:
                done = desk.collection(collection, wanted)
            elif document or collection or wanted:
                raise InvalidRequestError("give a document or --collection, and a --label")
    if as_json:
        line: dict[str, Json] = {"documents": done.documents, "passages": done.passages}
        console.line({"event": "relabelled", **line})
    else:
        console.out.print(f"relabelled: {done.documents} documents, {done.passages} passages")


def changes(pairs: list[str]) -> dict[str, Json]:
    """Return the labels that ``key=value`` pairs give. Raises ``InvalidRequestError``."""
    given: dict[str, Json] = {}
    restrictions: list[str] = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidRequestError(f"label {key!r}: wanted key=value")
        if key == "restriction":
            restrictions += [value] if value else []
            given["restrictions"] = [*restrictions]
        elif key in {"sensitivity", "department", "retain_until", "state"}:
            given[key] = value
        else:
            raise InvalidRequestError(
                f"label {key!r}: known are sensitivity, department, restriction, retain_until, "
                "state"
            )
    return given
