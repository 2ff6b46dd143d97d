"""A whole platform on fakes where a real part is slow: detector, encoder, index, model.

Policies, vault, catalog and audit log are the real ones. What is put in goes through the real gate.
"""

import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2
import numpy as np

from ragplatform import identities, openers, wiring
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.audit import query
from ragplatform.audit.alarms import EgressAlarm
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.record import Record
from ragplatform.audit.storage import Storage
from ragplatform.catalog import SqlCatalog
from ragplatform.config import Settings
from ragplatform.editions import OneEdition
from ragplatform.errors import UnauthenticatedError
from ragplatform.model import Chunk, Facts, Labels, Passage, Principal, Sensitivity
from ragplatform.policy.classes import access_class
from ragplatform.policy.engine import Policies
from ragplatform.ports import Detector, Edition, Entry, Generator, Index, Vectors
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.vault import Vault
from tests.fakes_generator import ScriptedGenerator
from tests.fakes_index import MemoryIndex
from tests.fakes_privacy import RegexDetector

POLICIES = Path(__file__).parents[1] / "policies"
DIM = 256
NO_FACTS = Facts()


class HashEmbedder:
    """Embeds a text as its words, each hashed to one dimension. Equal words, near vectors."""

    version = "hash-1"
    dim = DIM

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), DIM), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.casefold()) or [""]:
                slot = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4]) % DIM
                vectors[row, slot] += 1.0
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.where(norms == 0, 1, norms)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class KnownTokens:
    """An authenticator that knows a few tokens."""

    people: Mapping[str, Principal]

    def authenticate(self, token: str, user: str | None = None) -> Principal:
        if token not in self.people or user is not None:
            raise UnauthenticatedError("not known")
        return self.people[token]

    def prove(self, token: str, principal: Principal) -> None:
        found = self.authenticate(token)
        if (found.tenant, found.id) != (principal.tenant, principal.id):
            raise UnauthenticatedError("not the same person")

    def recall(self, principal: Principal) -> Principal:
        known = self.people.values()
        found = [p for p in known if (p.tenant, p.id) == (principal.tenant, principal.id)]
        if not found:
            raise UnauthenticatedError("not known")
        return found[0]


@dataclass(slots=True)
class Bench:
    """A platform under test, and what tests want to look at."""

    platform: wiring.Platform
    privacy: Privacy
    audit: TenantLogs
    index: Index
    generator: Generator
    people: dict[str, Principal]
    settings: Settings
    documents: list[str] = field(default_factory=list)

    def records(self, **conditions: object) -> list[Record]:
        """Return the audit records of all logs, oldest first."""
        logs = query.find_logs(self.settings.audit_dir)
        found = [one for log in logs for one in query.read(log, **conditions)]  # type: ignore[arg-type]
        return sorted(found, key=lambda record: record.time)

    def put(
        self,
        text: str,
        *,
        subjects: Sequence[str] = (),
        page: int = 1,
        page_label: str = "",
        facts: Facts = NO_FACTS,
        title: str = "",
        heading: Sequence[str] = (),
        **labels: object,
    ) -> str:
        """Take one text in through the gate, as one chunk; return the chunk's id."""
        defaults: dict[str, object] = {
            "tenant": "mercy",
            "collection": "clinical",
            "sensitivity": Sensitivity.CONFIDENTIAL,
            "department": "cardiology",
        }
        kind = Labels(**{**defaults, **labels})  # type: ignore[arg-type]
        (spans,) = self.privacy.inspect([text])
        kind = replace(kind, categories=frozenset(span.category for span in spans))
        done = self.privacy.transform(text, spans, kind)
        refs = frozenset(self.privacy.subject_ref(kind.tenant, raw) for raw in subjects)
        self.privacy.commit(kind.tenant, refs or {"s_nobody"}, done)
        number = len(self.documents)
        chunk = Chunk(
            id=f"00000000-0000-4000-8000-{number:012d}",
            ordinal=0,
            text=done.text,
            start=0,
            end=len(done.text),
            page=page,
            page_end=page,
            heading=tuple(heading),
            spans=done.kept,
            page_labels=((page, page_label),) if page_label else (),
        )
        passage = Passage(
            chunk=chunk,
            document=f"doc-{number}",
            title=title or f"document {number}.pdf",
            labels=kind,
            access_class=access_class(kind),
            subjects=refs,
            generation="g1",
            media_type="application/pdf",
            facts=facts,
        )
        store = self.platform.store
        store.catalog.register(kind, access_class(kind))
        vector = store.embedder.embed([self.privacy.embed_view(done.text)])[0]
        terms = store.weigher.weigh_document(done.text)
        self.index.upsert([Entry(passage, [float(v) for v in vector], terms)])
        self.documents.append(chunk.id)
        return chunk.id


def make_bench(
    tmp_path: Path,
    *,
    generator: Generator | None = None,
    detector: Detector | None = None,
    index: Index | None = None,
    disk: Storage | None = None,
    pause_clock: Callable[[], float] = time.monotonic,
    **settings: object,
) -> Bench:
    """Build a platform in a folder of its own; the caller closes ``bench.platform.store``.

    ``disk`` is what the audit logs stand on, the local one by default.
    """
    chosen = Settings(
        data_dir=tmp_path / "data", policies_dir=POLICIES, secrets_dir=tmp_path / "keys", **settings
    )  # type: ignore[arg-type]
    identities.create_keys(chosen)
    chosen.data_dir.mkdir(parents=True, exist_ok=True)
    vault = Vault(chosen.effective_vault_url, master=chosen.master_key())
    privacy = Privacy(
        detector=detector or RegexDetector(),
        rules=PrivacyRules.load(POLICIES / "privacy.toml"),
        vault=vault,
    )
    audit = openers.open_audit(chosen, "api", storage=disk, pause_clock=pause_clock)
    store = wiring.Store(
        settings=chosen,
        policies=Policies.load(POLICIES),
        privacy=privacy,
        vault=vault,
        catalog=SqlCatalog(chosen.catalog_url, access_class=access_class),
        register=openers.open_register(chosen, vault),
        editions=OneEdition(
            Edition("fake", "hash", HashEmbedder(), Bm25Weigher(), index or MemoryIndex(dim=DIM))
        ),
        audit=audit,
        audit_index=openers.open_audit_index(chosen),
        alarm=EgressAlarm(audit.append, actor="system"),
    )
    people = _people(vault)
    platform = wiring.assemble(
        store,
        generator=generator or ScriptedGenerator(["<1>"]),
        authenticator=KnownTokens(people),
        http=httpx2.AsyncClient(trust_env=False),
    )
    return Bench(platform, privacy, store.audit, store.index, platform.generator, people, chosen)


def _people(vault: Vault) -> dict[str, Principal]:
    ward = frozenset({"cardiology"})
    related = frozenset({vault.subject_ref("mercy", "mrn:1")})
    level = Sensitivity.CONFIDENTIAL
    return {
        "doctor": Principal("dr", "mercy", frozenset({"physician"}), ward, level, related),
        "stranger": Principal("dr2", "mercy", frozenset({"physician"}), ward, level),
        "researcher": Principal("res", "mercy", frozenset({"researcher"}), frozenset(), level),
        "reception": Principal("desk", "mercy", frozenset({"reception"})),
        "compliance": Principal("audit", "mercy", frozenset({"compliance"})),
        "second-reviewer": Principal("audit2", "mercy", frozenset({"privacy-officer"})),
        "clerk": Principal("clerk", "mercy", frozenset({"ingest"}), frozenset(), level),
        "second-clerk": Principal("clerk2", "mercy", frozenset({"ingest"}), frozenset(), level),
        "operator": Principal("ops", "mercy", frozenset({"operator"}), frozenset(), level),
        "eraser": Principal("erase", "mercy", frozenset({"ingest", "erasure"}), frozenset(), level),
        "labeller": Principal("label", "mercy", frozenset({"privacy-officer"}), frozenset(), level),
        "administrator": Principal("admin", "mercy", frozenset({"access-admin"})),
        "billing": Principal("bill", "mercy", frozenset({"billing"}), frozenset(), level),
        "banker": Principal(
            "rm",
            "harbor",
            frozenset({"relationship-manager"}),
            frozenset({"branch"}),
            level,
            frozenset({vault.subject_ref("harbor", "client:1")}),
        ),
    }
