"""What a deployment holds, read from its files while no process has them open."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from ingest.ledger import Ledger, State
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.audit import query
from ragplatform.audit.events import Action
from ragplatform.audit.verify import verify
from ragplatform.catalog import SqlCatalog
from ragplatform.model import AllOf, AnyOf, Clause, Passage, TermWeights
from ragplatform.policy.classes import access_class
from ragplatform.privacy.tokens import tokens_in
from ragplatform.privacy.vault import Vault
from ragplatform.privacy.vault_tables import SUBJECTS

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Stored:
    """All that one tenant has in the stores; two deployments with the same keys compare equal.

    ``catalog`` is document to (generation, chunks), ``ledger`` document to (state, generation,
    chunks), ``passages`` chunk to itself, ``clear`` pseudonym to value.
    ``ingested`` holds the (document, generation) pairs that the audit log calls ingested, and
    ``started`` those that it calls begun. ``keys`` are the subjects that the vault keeps a key of,
    ``refs`` the reference under which a document's own values are kept.
    """

    catalog: dict[str, tuple[str, int]]
    ledger: dict[str, tuple[State, str, int]]
    passages: dict[str, Passage]
    clear: dict[str, str]
    ingested: frozenset[tuple[str, str]]
    started: frozenset[tuple[str, str]]
    logs: dict[str, str]
    count: int
    keys: frozenset[str]
    refs: dict[str, str]

    @property
    def documents(self) -> dict[str, int]:
        """The number of chunks that the index holds of each document."""
        held: dict[str, int] = {}
        for passage in self.passages.values():
            held[passage.document] = held.get(passage.document, 0) + 1
        return held

    def same_as(self, other: "Stored") -> bool:
        """Whether both hold the same documents, chunks and values."""
        ours, theirs = (
            (one.catalog, one.ledger, one.passages, one.clear, one.count) for one in (self, other)
        )
        return ours == theirs

    def wrong_at_any_moment(self) -> list[str]:
        """Return what may not be so even just after a kill."""
        wrong = [f"log {name}: {problem}" for name, problem in self.logs.items() if problem]
        if self.count != len(self.passages):
            wrong.append(f"{self.count} chunks counted, {len(self.passages)} found")
        for passage in self.passages.values():
            document, generation = passage.document, passage.generation
            if document not in self.catalog:
                wrong.append(f"orphan: chunks of {document}, unknown to the catalog")
            if document not in self.ledger:
                wrong.append(f"orphan: chunks of {document}, unknown to the ledger")
            if (document, generation) not in self.started:
                wrong.append(f"unrecorded: {document} {generation} can be found")
        for document, (state, generation, chunks) in self.ledger.items():
            if state is State.INDEXED:
                wrong += self._wrong_with(document, generation, chunks)
        return sorted(set(wrong))

    def wrong_after_a_run(self) -> list[str]:
        """Return what may not be so after a run that came to its end."""
        wrong = self.wrong_at_any_moment()
        for document, (state, _, _) in self.ledger.items():
            if state is not State.INDEXED and document in {*self.documents, *self.catalog}:
                wrong.append(f"{document} is {state} and still there")
        wrong += [
            f"orphan: {document} is in the catalog alone"
            for document in self.catalog
            if document not in self.ledger
        ]
        left = {s for s, (state, _, _) in self.ledger.items() if state is State.GONE}
        wrong += [
            f"orphan: the vault keeps a key of {document}, which is gone"
            for document in left
            if self.refs[document] in self.keys
        ]
        tokens = {token for p in self.passages.values() for token in tokens_in(p.chunk.text)}
        wrong += [f"{token} cannot be revealed" for token in sorted(tokens - self.clear.keys())]
        return wrong

    def _wrong_with(self, document: str, generation: str, chunks: int) -> list[str]:
        """Return what is wrong with a document that the ledger calls indexed."""
        wrong = []
        held = [p.generation for p in self.passages.values() if p.document == document]
        if held.count(generation) != chunks:
            wrong.append(f"lost: {document} has {held.count(generation)} of {chunks} chunks")
        if len(held) != chunks:
            wrong.append(f"duplicate: {document} has {len(held)} chunks for {chunks}")
        if self.catalog.get(document) != (generation, chunks):
            wrong.append(f"lost: the catalog says {self.catalog.get(document)} of {document}")
        if (document, generation) not in self.ingested:
            wrong.append(f"unrecorded: nothing says that {document} went in")
        return wrong


def look(data: Path, *, dim: int, master: bytes, tenant: str = "mercy") -> Stored:
    """Read everything in a data folder that no process has open."""
    ledger = Ledger(f"sqlite:///{data / 'catalog.db'}")
    catalog = SqlCatalog(f"sqlite:///{data / 'catalog.db'}", access_class=access_class)
    vault = Vault(f"sqlite:///{data / 'vault.db'}", master=master)
    index = EdgeIndex(folder=data / "index", dim=dim)
    try:
        # Any direction will do: with so high a limit every passage is a neighbour.
        everything = AnyOf((AllOf((Clause("tenant", frozenset({tenant})),)),))
        hits = index.search_within([1.0] * dim, TermWeights((), ()), everything, _MOST)
        found = {hit.passage.chunk.id: hit.passage for hit in hits}
        tokens = {token for p in found.values() for token in tokens_in(p.chunk.text)}
        logs = query.find_logs(data / "audit")
        return Stored(
            catalog={e.document: (e.generation, e.chunks) for e in catalog.documents(tenant)},
            ledger={
                e.document: (e.state, e.generation, e.chunks) for e in ledger.entries(tenant=tenant)
            },
            passages=found,
            clear=vault.reveal(tenant, tokens),
            ingested=_recorded(logs, Action.INGESTED),
            started=_recorded(logs, Action.INGEST_STARTED),
            logs={log.name: verify(log, public_key=None).problem for log in logs},
            count=index.count(),
            keys=_subjects(data, tenant),
            refs={
                e.document: vault.subject_ref(tenant, f"document:{e.document}")
                for e in ledger.entries(tenant=tenant)
            },
        )
    finally:
        for store in (index, vault, catalog, ledger):
            store.close()


def _subjects(data: Path, tenant: str) -> frozenset[str]:
    engine = sa.create_engine(f"sqlite:///{data / 'vault.db'}")
    query = sa.select(SUBJECTS.c.subject).where(SUBJECTS.c.tenant == tenant)
    with engine.connect() as connection:
        found = frozenset(connection.execute(query).scalars())
    engine.dispose()
    return found


def _recorded(logs: list[Path], action: Action) -> frozenset[tuple[str, str]]:
    return frozenset(
        (str(record.details["document"]), str(record.details["generation"]))
        for log in logs
        for record in query.read(log, action=action)
    )


def copy_data(source: Path, target: Path) -> Path:
    """Copy a data folder. The engine's files are mostly holes: 200 MiB that take up one."""
    subprocess.run(["cp", "--recursive", "--sparse=always", source, target], check=True)
    return target
