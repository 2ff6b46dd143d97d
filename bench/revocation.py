"""How soon what is taken away is gone: from the change to the first search that holds to it.

    python -m bench.revocation [--points 10000] [--changes 100] [--json]

A physician of one patient searches; then the relation is removed, the patient refuses, an opening
is ended, the physician loses the role, or the document gets a label that closes it: each so many
times, each undone again. The time runs from just before the change until a search ends that no
longer shows a passage of the patient. Real parts: the register, the catalog, the policies, Qdrant
Edge. Without are the embedding of the question and the audit log, which a change does not touch.
"""

import argparse
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench._setting import ROOT, machine, percentile
from bench.policy import DIM, Question, entries, labels, questions
from ragplatform.access.register import ConsentEntry, Opening, Register, Relation
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.catalog import SqlCatalog
from ragplatform.model import Consent, Labels, Principal, Purpose, Sensitivity
from ragplatform.policy.classes import access_class
from ragplatform.policy.engine import Policies

SUBJECT = "subject-7"
OPEN = Labels("mercy", "clinical", Sensitivity.CONFIDENTIAL, "cardiology")
CLOSED = replace(OPEN, restrictions=frozenset({"psychotherapy"}))
DOCTOR = Principal(
    "lee", "mercy", frozenset({"physician"}), frozenset({"cardiology"}), Sensitivity.RESTRICTED
)
RETIRED = replace(DOCTOR, roles=frozenset({"staff"}))


def now() -> datetime:
    """Return the time, as the register asks for it."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Ward:
    """The real parts, and one document of one patient among many others."""

    policies: Policies
    catalog: SqlCatalog
    register: Register
    index: EdgeIndex
    question: Question
    document: str

    def shown(self, who: Principal, purpose: Purpose) -> bool:
        """Return whether a search shows the document."""
        standing = self.register.standing(who, purpose)
        scope = self.policies.scope(standing, self.catalog.classes("mercy"))
        hits = self.index.search(*self.question, scope, 50)
        return any(hit.passage.document == self.document for hit in hits)

    def relabel(self, kind: Labels) -> None:
        """Give the document other labels, as ingest does: its class first."""
        self.catalog.register(kind, access_class(kind))
        self.index.relabel(self.document, kind, access_class(kind))

    def open_glass(self) -> str:
        """Break the glass; return the opening."""
        opening = Opening(
            uuid.uuid4().hex, "mercy", "lee", SUBJECT, Purpose.ETREAT, now(),
            now() + timedelta(minutes=5), b"-",
        )  # fmt: skip
        self.register.open_glass(opening, most=1_000_000)
        return opening.id


def seconds_until_gone(
    ward: Ward, change: Callable[[], object], who: Principal, purpose: Purpose
) -> float:
    """Return how long it takes until a search no longer shows the document."""
    began = time.perf_counter()
    change()
    while ward.shown(who, purpose):
        pass
    return time.perf_counter() - began


def measure(ward: Ward, changes: int) -> dict[str, list[float]]:
    """Return the seconds of each change, by what was taken away."""
    taken: dict[str, list[float]] = {}

    def one(what: str, change: Callable[[], object], purpose: Purpose, who: Principal) -> None:
        if not ward.shown(DOCTOR, purpose):
            raise SystemExit(f"{what}: the document was not shown before the change")
        taken.setdefault(what, []).append(seconds_until_gone(ward, change, who, purpose))

    def relate() -> None:
        ward.register.relate("mercy", [Relation("lee", SUBJECT, now())])

    def consent(word: Consent) -> None:
        entry = ConsentEntry(SUBJECT, Purpose.TREAT, word, now())
        ward.register.set_consent("mercy", entry, uuid.uuid4().hex)

    relate()
    for _ in range(changes):
        one(
            "relation",
            lambda: ward.register.unrelate("mercy", "lee", SUBJECT),
            Purpose.TREAT,
            DOCTOR,
        )
        relate()
        one("consent", lambda: consent(Consent.REFUSED), Purpose.TREAT, DOCTOR)
        consent(Consent.SILENT)
        one("label", lambda: ward.relabel(CLOSED), Purpose.TREAT, DOCTOR)
        ward.relabel(OPEN)
        one("role", lambda: None, Purpose.TREAT, RETIRED)
        opening = ward.open_glass()
        one("broken glass", lambda: ward.register.end_glass(opening), Purpose.ETREAT, DOCTOR)  # noqa: B023 - called at once
    return taken


def main() -> None:
    """Measure, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    named = machine()
    with tempfile.TemporaryDirectory(prefix="bench-revocation-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'catalog.db'}"
        kinds = [labels(number) for number in range(50)]
        with (
            closing(SqlCatalog(url, access_class=access_class)) as catalog,
            closing(
                Register(url, subject_ref=lambda _, raw: raw, directories=(), now=now)
            ) as register,
            closing(EdgeIndex(folder=folder / "index", dim=DIM)) as index,
        ):
            for kind in kinds:
                catalog.register(kind, access_class(kind))
            for batch in entries(given.points, kinds):
                index.upsert(batch)
            [first] = next(entries(1, [OPEN]))
            own = replace(
                first,
                passage=replace(
                    first.passage,
                    chunk=replace(first.passage.chunk, id=str(uuid.uuid4())),
                    document="the one",
                    subjects=frozenset({SUBJECT}),
                ),
            )
            index.upsert([own])
            catalog.register(OPEN, access_class(OPEN))
            [(_, terms)] = questions(1)
            ward = Ward(
                policies=Policies.load(ROOT / "policies"),
                catalog=catalog,
                register=register,
                index=index,
                question=(list(own.vector), terms),
                document="the one",
            )
            taken = measure(ward, given.changes)
    rows = {
        what: {
            "p50_ms": round(1000 * statistics.median(times), 1),
            "p99_ms": round(1000 * percentile(times, 99), 1),
        }
        for what, times in taken.items()
    }
    if given.json:
        print(json.dumps({"machine": named, "points": given.points, "taken_away": rows}, indent=1))
        return
    for what, row in rows.items():
        print(f"{what:<14} p50 {row['p50_ms']:7.1f} ms  p99 {row['p99_ms']:7.1f} ms")


if __name__ == "__main__":
    main()
