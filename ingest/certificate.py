"""Certificates of erasure: what went, on whose word, and the records that prove it.

A certificate is a text signed with the key of the tenant's log, together with a proof for each
record that it names (C2SP tlog-proof, as ``audit prove`` writes them). Its own digest is recorded
last, and that record is proven too: whoever has the file needs none of the deployment's, and can
check each proof with ``verify_audit.py --proof``. It names people by keyed references alone.

1. Look whether anything is left in index, catalog, ledger and vault. 2. Write the text and sign it.
3. Record its digest. 4. Join the proofs. 5. Keep a copy.
"""

import base64
import hashlib
import json
import os
import re
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature

from ingest.erased_before import Told, Where, read_erasures
from ingest.forget import Erased
from ingest.ledger import Ledger, State
from ingest.places import Place
from ragplatform.audit.events import Action, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.note import Signer
from ragplatform.audit.prove import record_proof
from ragplatform.audit.verify_audit import BadError, Key, check_proof
from ragplatform.catalog import SqlCatalog
from ragplatform.errors import (
    DeniedError,
    InvalidRequestError,
    NotFoundError,
    TamperedError,
    UnavailableError,
)
from ragplatform.model import Json, Labels, Principal, Purpose, Receipt
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import STRANGER
from ragplatform.ports import Index
from ragplatform.privacy.gate import Privacy

# No origin has a space in it, so no such text passes for a checkpoint.
_TITLE: Final = "ragplatform erasure certificate"
_FORMAT: Final = 1
_MOST_EXPORTS: Final = 1000
_ID_LENGTH: Final = 32
_ID: Final = re.compile(f"[0-9a-f]{{{_ID_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class _Stock:
    """What the stores hold, read once. ``known`` counts a document's sources that are not erased,
    ``about`` are the catalog's documents by whom they are about.
    """

    forgotten: frozenset[str]
    known: Counter[str]
    indexed: frozenset[str]
    listed: frozenset[str]
    about: Mapping[str, set[str]]


class Certifier:
    """Certifies erasures of one tenant."""

    def __init__(
        self,
        *,
        principal: Principal,
        purpose: Purpose,
        policies: Policies,
        privacy: Privacy,
        index: Index,
        catalog: SqlCatalog,
        ledger: Ledger,
        audit: TenantLogs,
        logs: Path,
        signer: Callable[[str], Signer],
        folder: Path,
        places: Sequence[Place] = (),
    ) -> None:
        """``logs`` holds the audit logs, ``folder`` is where copies are kept."""
        self._principal = principal
        self._purpose = purpose
        self._policies = policies
        self._privacy = privacy
        self._index = index
        self._catalog = catalog
        self._ledger = ledger
        self._audit = audit
        self._logs = logs
        self._signer = signer
        self._folder = folder
        self._places = places

    def certify(self, erased: Erased) -> str:
        """Return the certificate of an erasure, once a copy of it is kept.

        Of an erasure that was killed and run again it names the records of both runs. Raises
        ``UnavailableError`` when something is left: there is nothing to certify then.
        """
        return next(self.certify_each([erased]))

    def certify_each(self, some: Sequence[Erased]) -> Iterator[str]:
        """Yield the certificate of each erasure in turn; logs and stores are read once for all.

        Raises as ``certify``, at the first of which something is left.
        """
        told = read_erasures(
            self._logs,
            tenant=self._principal.tenant,
            subjects=frozenset(ref for one in some for ref in one.subjects),
            documents=frozenset(document for one in some for document in one.documents),
        )
        stock = self._stock()
        for erased in some:
            yield self._certify(erased, told, stock)

    def _certify(self, erased: Erased, told: Told, stock: _Stock) -> str:
        lines, documents = self._on_record(erased, told, stock)
        records = sorted(lines)
        left = self._left(documents, erased.subjects, stock)  # 1
        if any(left.values()):
            some = ", ".join(f"{count} in {place}" for place, count in left.items() if count)
            raise UnavailableError(f"not everything is gone ({some}): run the erasure again")
        said = self._said(erased, records, documents, left, told)
        text = f"{_TITLE}\n{json.dumps(said, sort_keys=True, separators=(',', ':'))}\n"
        digest = hashlib.sha256(text.encode()).hexdigest()
        certified = self._record(digest, documents, records, erased.subjects)  # 3
        note = self._signer(certified.origin).sign_text(text)  # 2
        places = [*records, (certified.origin, certified.index)]
        proofs = {
            f"{origin}/{index}": record_proof(
                self._logs / origin, index, line=lines.get((origin, index))
            )
            for origin, index in places
        }
        last = f"{certified.origin}/{certified.index}"
        whole = json.dumps({"certificate": note, "certified_by": last, "proofs": proofs}, indent=1)
        _keep(self._folder, f"{digest[:_ID_LENGTH]}.json", whole)  # 5
        return whole

    def kept(self, identity: str) -> str:
        """Return the kept copy of a certificate of the tenant, on record.

        Raises ``DeniedError`` for who may not erase, ``NotFoundError`` alike for one that is not
        there and one of another tenant.
        """
        labels = Labels(self._principal.tenant, "")
        decision = self._policies.decide(self._principal, "forget", self._purpose, labels, STRANGER)
        if not decision.allowed:
            self._read_on_record(identity, Outcome.DENIED)
            raise DeniedError("certificates are read by who may erase, for a purpose that permits")
        text = self._copy(identity)
        if text is None:
            raise NotFoundError("no certificate of this tenant has that id")
        self._read_on_record(identity, Outcome.SUCCESS)
        return text

    def _copy(self, identity: str) -> str | None:
        # The id becomes the name of a file.
        if not _ID.fullmatch(identity):
            return None
        try:
            text = (self._folder / f"{identity}.json").read_text("utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnavailableError(f"{self._folder} cannot be read: {error.strerror}") from error
        said = json.loads(json.loads(text)["certificate"].split("\n")[1])
        return text if said["tenant"] == self._principal.tenant else None

    def _read_on_record(self, identity: str, outcome: Outcome) -> None:
        named = identity if _ID.fullmatch(identity) else ""
        self._audit.append(
            event_of(
                self._principal,
                Action.CERTIFICATE_READ,
                outcome,
                request_id=uuid.uuid4().hex,
                purpose=str(self._purpose),
                policy=self._policies.digest,
                details={"certificate": named},
            )
        )

    def _on_record(
        self, erased: Erased, told: Told, stock: _Stock
    ) -> tuple[dict[Where, bytes | None], list[str]]:
        """Return the lines of the erasure's records by place, and the documents that it took."""
        found: dict[Where, bytes | None] = {(one.origin, one.index): None for one in erased.records}
        documents = set(erased.documents)
        wanted = set(erased.subjects)
        for one in told.erasures:
            if wanted & one.subjects or one.document in documents:
                found[one.where] = one.line
                # One that was let back in since is no matter of this erasure.
                documents |= {one.document} & stock.forgotten
        return found, sorted(documents)

    def _stock(self) -> _Stock:
        tenant = self._principal.tenant
        rows = self._ledger.entries(tenant=tenant)
        forgotten = frozenset(e.document for e in rows if e.state is State.FORGOTTEN)
        about: dict[str, set[str]] = {}
        entries = self._catalog.documents(tenant)
        for entry in entries:
            for ref in entry.subjects:
                about.setdefault(ref, set()).add(entry.document)
        return _Stock(
            forgotten=forgotten,
            known=Counter(e.document for e in rows if e.state is not State.FORGOTTEN),
            indexed=frozenset(self._index.generations(tenant)),
            listed=frozenset(entry.document for entry in entries),
            about=about,
        )

    def _left(
        self, documents: Collection[str], subjects: Collection[str], stock: _Stock
    ) -> dict[str, int]:
        tenant = self._principal.tenant
        gone = set(documents)
        mine = gone & stock.listed
        for ref in subjects:
            mine |= stock.about.get(ref, set())
        refs = [*subjects, *(self._privacy.subject_ref(tenant, f"document:{d}") for d in gone)]
        left = {
            "index": len(gone & stock.indexed),
            "catalog": len(mine),
            "ledger": sum(stock.known[document] for document in gone),
            "vault": sum(self._privacy.kept_of(tenant, ref) for ref in refs),
        }
        for place in self._places:
            left[place.name] = sum(place.left_of(tenant, one) for one in documents)
        return left

    def _said(
        self,
        erased: Erased,
        records: Collection[Where],
        documents: Collection[str],
        left: Mapping[str, int],
        told: Told,
    ) -> dict[str, Json]:
        tenant = self._principal.tenant
        return {
            "format": _FORMAT,
            "tenant": tenant,
            "documents": list(documents),
            "subjects": list(erased.subjects),
            "removed": {name: erased.removed[name] for name in sorted(erased.removed)},
            "left": dict(left),
            "erased_by": self._principal.id,
            "purpose": str(self._purpose),
            "policy": self._policies.digest,
            "certified_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "records": [f"{origin}/{index}" for origin, index in records],
            # They are with whoever took them.
            "reports_before": told.reports_on(erased.subjects)[:_MOST_EXPORTS],
        }

    def _record(
        self,
        digest: str,
        documents: Collection[str],
        records: Collection[Where],
        subjects: Collection[str],
    ) -> Receipt:
        details: dict[str, Json] = {
            "sha256": digest,
            "documents": len(documents),
            "records": len(records),
        }
        return self._audit.append(
            event_of(
                self._principal,
                Action.ERASURE_CERTIFIED,
                request_id=digest[:32],
                purpose=str(self._purpose),
                policy=self._policies.digest,
                subjects=sorted(subjects)[:_MOST_EXPORTS],
                details=details,
            )
        )


@dataclass(frozen=True, slots=True)
class Certified:
    """What a certificate says that was found good, and whose key vouches for it."""

    said: Mapping[str, Json]
    records: int
    origin: str


def certificate_id(text: str) -> str:
    """Return the id by which a certificate is kept: how the digest of its text begins."""
    body = json.loads(text)["certificate"].partition("\n\n")[0]
    return hashlib.sha256(f"{body}\n".encode()).hexdigest()[:_ID_LENGTH]


def check_certificate(text: str, *, key: str | None = None) -> Certified:
    """Check a certificate offline; ``key`` is the log's verifier key, had from elsewhere.

    1. Every record it names is proven, under the key. 2. The last one holds the digest of its text.
    3. The log signed the text. Without ``key`` the key inside is believed.

    Raises ``TamperedError`` for anything that does not fit, ``InvalidRequestError`` for a file that
    is none.
    """
    try:
        whole = json.loads(text)
        note, last, proofs = whole["certificate"], whole["certified_by"], dict(whole["proofs"])
        body, _, signatures = note.partition("\n\n")
        title, line = body.split("\n")
        said = json.loads(line)
        named = list(said["records"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequestError("this is no certificate of erasure") from error
    if title != _TITLE or {*named, last} != set(proofs):
        raise TamperedError("the certificate does not come with a proof for each of its records")
    try:
        given = Key(key.strip() + "\n") if key else None
        keys = {place: _proven(place, proof, given) for place, proof in proofs.items()}  # 1
        if given is not None and given.name != keys[last].name:
            raise TamperedError("the certificate is of another log than the key")
        record = json.loads(check_proof(proofs[last], given).partition(": ")[2])
        digest = hashlib.sha256(f"{body}\n".encode()).hexdigest()
        if record["action"] != Action.ERASURE_CERTIFIED or record["details"]["sha256"] != digest:
            raise TamperedError("the log certified another text than this one")  # 2
        _require_signed(keys[last], f"{body}\n", signatures)  # 3
    except (BadError, ValueError, KeyError, TypeError) as error:
        raise TamperedError("a proof of the certificate does not hold") from error
    return Certified(said, len(named), keys[last].name)


def _proven(place: str, proof: str, given: Key | None) -> Key:
    head = proof.split("\n")[1].removeprefix("extra ")
    own = Key(json.loads(base64.b64decode(head))["key"] + "\n")
    # Proofs of other logs of the tenant bear their own keys; the given one is of the last.
    fits = given is not None and given.name == own.name
    found = check_proof(proof, given if fits else None)
    origin, _, index = place.rpartition("/")
    if not found.startswith(f"record {index} of ") or own.name != origin:
        raise TamperedError(f"the proof for {place} is of another record")
    return own


def _require_signed(key: Key, text: str, signatures: str) -> None:
    mark = f"— {key.name} "
    lines = [line for line in signatures.split("\n") if line.startswith(mark)]
    if len(lines) != 1:
        raise TamperedError("the certificate does not bear the log's signature")
    raw = base64.b64decode(lines[0][len(mark) :], validate=True)
    try:
        key.public.verify(raw[4:], text.encode())
    except InvalidSignature as error:
        raise TamperedError("the certificate was not signed by the log's key") from error


def _keep(folder: Path, name: str, text: str) -> None:
    """Write the copy, durably, readable by its owner alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(folder / name, text)
    except OSError as error:
        raise UnavailableError(f"the certificate cannot be kept in {folder}: {error}") from error


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, durably. Raises ``OSError``."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(handle, 0o600)
        file.write(text)
        file.flush()
        os.fsync(handle)
