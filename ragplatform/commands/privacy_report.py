"""What became of the personal data of a collection, for whoever answers for it."""

import os
import uuid
from collections.abc import Mapping
from typing import Annotated

import typer

from ragplatform import identities, wiring
from ragplatform.audit.events import Action, Outcome, event_of
from ragplatform.commands import console
from ragplatform.commands.ask import KEY_VARIABLE
from ragplatform.errors import DeniedError, NotFoundError
from ragplatform.model import Json, Mode, Purpose
from ragplatform.privacy.safe_harbor import UNNAMED
from ragplatform.privacy.tally import Tally
from ragplatform.reporting import CollectionReport, Treated

_MARKED = (Mode.TAG, Mode.MASK, Mode.PSEUDONYMISE)
# What holds a value of mode quarantine is in no collection.
_METHODS = {
    Mode.KEEP: "kept",
    Mode.TAG: "tagged",
    Mode.MASK: "masked",
    Mode.PSEUDONYMISE: "pseudonyms",
    Mode.SHIFT: "shifted",
    Mode.GENERALISE: "coarser",
    Mode.DROP: "dropped",
}
# The Centers for Medicare & Medicaid Services publish no count of fewer than 11 people: their
# cell size suppression policy.
_SIZES = ((1, 1), (2, 4), (5, 10), (11, None))


def report(
    tenant: Annotated[str, typer.Option(help="Whose collections.")],
    collection: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    samples: Annotated[
        int, typer.Option(min=0, max=100, help="Show as many passages, drawn by chance.")
    ] = 0,
    reason: Annotated[str, typer.Option(help="Why you look at samples; it is recorded.")] = "",
    purpose: Annotated[
        Purpose | None, typer.Option(help="Purpose of use under which samples are read.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Count what was done to personal data, and say what Safe Harbor would still ask.

    Counts alone, and on the audit log: of the marks in the passages in force, and by method as
    ingest treated each document. Samples are passages as the holder of RAGPLATFORM_API_KEY
    may read them for the purpose, and no others; each look is recorded.
    """
    with console.exits():
        if samples:
            console.require(collection is not None, "--samples needs --collection")
            console.require(purpose is not None, "--samples needs --purpose")
            console.require(bool(reason.strip()), "--samples needs --reason: why you look")
        store = wiring.open_store(console.settings(), "cli")
        try:
            store.record_start()
            found = wiring.open_reporter(store).report(tenant, collection)
            console.require(bool(found), f"tenant {tenant} has no such collection with documents")
            _record(store, tenant, found)
            for one in found:
                _print_json(one) if as_json else _print(one)
            if samples and collection and purpose:
                shown = _samples(store, tenant, collection, samples, reason, purpose)
                _print_samples(shown, samples, as_json=as_json)
        finally:
            store.close()


def _record(store: wiring.Store, tenant: str, found: list[CollectionReport]) -> None:
    for one in found:
        store.record(
            Action.REPORTED,
            actor=console.host_user(),
            tenant=tenant,
            details={"collection": one.collection, "documents": one.tally.documents},
        )


def _samples(
    store: wiring.Store, tenant: str, collection: str, count: int, reason: str, purpose: Purpose
) -> dict[str, str]:
    """Return the text of passages drawn by chance, by chunk, as the caller may read them.

    1. Who asks. 2. The look and its reason are recorded. 3. Each passage goes the way of every
    source that is opened: policy decides on it, it is masked, the look is recorded.

    Raises ``UnauthenticatedError``, ``DeniedError`` for another tenant's people.
    """
    who = identities.authenticate(store.settings, os.environ.get(KEY_VARIABLE, ""))  # 1
    permitted = who.tenant == tenant
    chosen = wiring.open_reporter(store).sample(tenant, collection, count) if permitted else []
    request_id = uuid.uuid4().hex
    store.audit.append(  # 2
        # Another tenant's log is not the place for this one's people, nor the reverse.
        event_of(
            who,
            Action.REPORTED,
            Outcome.SUCCESS if permitted else Outcome.DENIED,
            request_id=request_id,
            purpose=str(purpose),
            policy=store.policies.digest,
            details={"collection": collection, "samples": len(chosen)} if permitted else {},
            sealed={"reason": reason},
        )
    )
    if not permitted:
        raise DeniedError(f"{who.id} is of another tenant than {tenant}")
    retriever = wiring.open_retriever(store)
    shown: dict[str, str] = {}
    for chunk in chosen:
        try:
            shown[chunk] = retriever.source(who, purpose, chunk, request_id).text  # 3
        except NotFoundError:
            continue
    return shown


def _print_samples(shown: Mapping[str, str], asked: int, *, as_json: bool) -> None:
    for chunk, text in shown.items():
        if as_json:
            console.print_json({"sample": chunk, "text": text})
        else:
            console.out.print(f"\n{chunk}", style="bold", markup=False)
            console.out.print(text, markup=False)
    if len(shown) < asked:
        console.err.print(
            f"{len(shown)} of {asked} samples: the others do not exist or you may not read them"
        )


def _print_json(one: CollectionReport) -> None:
    tally = one.tally
    console.print_json(
        {
            "tenant": one.tenant,
            "collection": one.collection,
            "documents": tally.documents,
            "passages": tally.passages,
            "types": _by_type(tally.marks),
            "treated": {
                "documents": one.treated.counted,
                "documents_not_counted": one.treated.not_counted,
                "types": _by_type(one.treated.values),
            },
            "safe_harbor": [
                {
                    "identifier": state.kind.letter,
                    "title": state.kind.title,
                    "state": state.state,
                    "counts": {str(mode): count for mode, count in state.counts.items()},
                    "treated": {str(mode): count for mode, count in state.treated.items()},
                    "rules": {entity: str(mode) for entity, mode in state.rules.items()},
                    "note": state.kind.note,
                }
                for state in one.kinds
            ],
            "quasi_identifiers": {
                "k": tally.k,
                "classes": len(tally.classes),
                "documents_by_class_size": _sizes(tally),
            },
        }
    )


def _by_type(values: Mapping[tuple[str, Mode], int]) -> dict[str, Json]:
    types: dict[str, dict[str, Json]] = {}
    for (entity, mode), count in sorted(values.items()):
        types.setdefault(entity, {})[str(mode)] = count
    return {**types}


def _sizes(tally: Tally) -> dict[str, Json]:
    return {
        f"{fewest} or more"
        if most is None
        else f"{fewest}-{most}"
        if most > fewest
        else "1": tally.documents_in_classes(fewest, most)
        for fewest, most in _SIZES
    }


def _print(one: CollectionReport) -> None:
    tally = one.tally
    title = f"{one.tenant}/{one.collection}: {tally.documents:,} documents, "
    console.out.print(f"{title}{tally.passages:,} passages", style="bold", markup=False)
    rows = [
        (
            state.kind.letter,
            state.kind.title,
            state.state,
            *(f"{state.counts.get(mode, 0):,}" for mode in _MARKED),
            ", ".join(sorted({str(mode) for mode in state.rules.values()})),
        )
        for state in one.kinds
    ]
    columns = ("", "Safe Harbor identifier", "state", "in clear", "masked", "pseudonyms", "rules")
    console.table(columns, rows)
    pseudonyms = any(mode is Mode.PSEUDONYMISE for _, mode in tally.marks)
    for state in one.kinds:
        # What (R) says of codes concerns the pseudonyms of every other kind.
        if state.kind.note and (state.counts or (state.kind.letter == "R" and pseudonyms)):
            console.out.print(f"  {state.kind.letter}: {state.kind.note}", markup=False)
    for entity, modes in _by_type(tally.marks).items():
        if entity in UNNAMED and isinstance(modes, Mapping):
            console.out.print(f"  under no letter: {entity} {console.pairs(modes)}", markup=False)
    console.out.print(
        f"  k of quasi-identifiers in clear: {tally.k} ({len(tally.classes):,} classes); "
        f"documents by class size: {console.pairs(_sizes(tally))}",
        markup=False,
    )
    _print_treated(one.treated)


def _print_treated(treated: Treated) -> None:
    """Print what became of the values of each type, as ingest counted them."""
    if treated.counted:
        by_type: dict[str, dict[Mode, int]] = {}
        for (entity, mode), count in sorted(treated.values.items()):
            by_type.setdefault(entity, {})[mode] = count
        console.table(
            ("type", *_METHODS.values()),
            [
                (entity, *(f"{modes.get(mode, 0):,}" for mode in _METHODS))
                for entity, modes in by_type.items()
            ],
            title=f"Values by method, as {treated.counted:,} documents were ingested",
        )
    if treated.not_counted:
        console.out.print(
            f"  {treated.not_counted:,} documents not counted by method: "
            "ingested before these counts were kept",
            markup=False,
        )
