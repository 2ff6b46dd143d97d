"""What a run is given: a file that was read, named, and told apart from its older versions."""

import hashlib
import hmac
import os
import stat
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

from ingest.claims import mapping
from ingest.graves import content_mark
from ingest.ledger import Claim, Ledger, Place
from ingest.parse.document import MIXED_SUBJECTS
from ingest.sources import GivenLabels, SourceFile
from ragplatform.errors import QuarantinedError
from ragplatform.model import NAMESPACE, Json, Labels, Principal, Purpose
from ragplatform.policy.classes import access_class, validate_labels


@dataclass(frozen=True, slots=True)
class Target:
    """Where documents go, and for whom the job acts."""

    principal: Principal
    purpose: Purpose
    collection: str


@dataclass(frozen=True, slots=True)
class Work:
    """One file that must go through. ``key`` is the keyed digest of its name.

    ``data`` is None for a file that is too large to be read, and for one that was refused.
    ``waived`` are the reasons that do not keep it out, since people decided so.
    """

    source: SourceFile
    data: bytes | None = field(repr=False)
    key: str
    sha256: str
    labels: Labels
    subjects: frozenset[str]
    document: str
    generation: str
    waived: frozenset[str] = frozenset()
    by_hand: Mapping[str, Json] = field(default_factory=dict)
    pipeline: str = ""
    """Labels that people gave the document, in place of its source's and its own."""

    @property
    def place(self) -> Place:
        """Where it comes from."""
        return Place(self.source.source, self.source.container)


def take_in_hand(
    ledger: Ledger, work: Work, *, run: str, name: str, contents: str | None = None
) -> Claim:
    """Return the run's right to work on the document; see ``Ledger.begin``.

    ``name`` is transformed text, or says nothing of it.
    """
    return ledger.begin(
        tenant=work.labels.tenant,
        collection=work.labels.collection,
        source_key=work.key,
        sha256=work.sha256,
        document=work.document,
        generation=work.generation,
        pipeline=work.pipeline,
        run=run,
        display_name=name,
        place=work.place,
        contents=contents,
    )


class Fingerprinter:
    """Reads files and names what each would become. It alone knows names by their key."""

    def __init__(
        self,
        *,
        target: Target,
        subject_ref: Callable[[str, str], str],
        pipeline: str,
        name_key: bytes,
        largest_file: int,
    ) -> None:
        """``subject_ref`` gives the keyed reference of a tenant's raw id."""
        self._target = target
        self._where = f"{target.principal.tenant}/{target.collection}"
        self._subject_ref = subject_ref
        self._pipeline = pipeline
        self._name_key = name_key
        self._largest_file = largest_file

    @property
    def pipeline(self) -> str:
        """A word that changes whenever the same file would become other chunks."""
        return self._pipeline

    def key(self, source: SourceFile) -> str:
        """Return the keyed digest by which the ledger knows the source, whatever is in it."""
        return self.key_of(source.name, source.source)

    def key_of(self, name: str, source: str) -> str:
        """Return the key of a name: within a configured source, or among paths given by hand."""
        # No source's name and no path holds a NUL, so no two of them make the same text.
        text = f"{self._where}/{source}\0{name}" if source else f"{self._where}/{name}"
        return hmac.new(self._name_key, text.encode(), hashlib.sha256).hexdigest()

    def document_of(self, key: str) -> str:
        """Return the id of the document that the source of a key becomes."""
        return str(uuid.uuid5(NAMESPACE, f"{self._where}/{key}"))

    def content_mark(self, work: Work) -> str:
        """Return the keyed mark of a document's content, by which it is known once erased."""
        return content_mark(self._subject_ref, work.labels.tenant, work.sha256)

    def __call__(self, source: SourceFile) -> Work:
        """Read the file and name what it would become.

        Raises ``InvalidRequestError`` for labels that cannot be stored, ``OSError`` when it cannot
        be read.
        """
        data, sha256 = self._read(source)
        key = self.key(source)
        labels = given_labels(self._target, source.labels)
        validate_labels(labels)
        subjects = frozenset(
            self._subject_ref(labels.tenant, raw) for raw in source.labels.subjects
        )
        version = "\0".join(
            (
                *(sha256, self._pipeline, access_class(labels)),
                *(*sorted(subjects), *mapping(source.labels)),
            )
        )
        return Work(
            source=source,
            data=data,
            key=key,
            sha256=sha256,
            labels=labels,
            subjects=subjects,
            document=self.document_of(key),
            generation=hashlib.sha256(version.encode()).hexdigest()[:16],
            pipeline=self._pipeline,
        )

    def _read(self, source: SourceFile) -> tuple[bytes | None, str]:
        """Return the file's bytes, or None if they are not to be had, and their digest.

        Raises ``QuarantinedError`` for what is no regular file: reading a pipe may never end.
        """
        if source.refused:
            return None, hashlib.sha256(f"refused: {source.refused}".encode()).hexdigest()
        if source.later is not None:
            return None, source.later.sha256
        if source.content is not None:
            return source.content, hashlib.sha256(source.content).hexdigest()
        with _open_regular(source.path) as file:
            data = file.read(self._largest_file + 1)
            if len(data) <= self._largest_file:
                return data, hashlib.sha256(data).hexdigest()
            file.seek(0)
            return None, hashlib.file_digest(file, "sha256").hexdigest()


def given_labels(target: Target, given: GivenLabels) -> Labels:
    """Return the labels that people, or the document's own fields, give in this collection."""
    mixed = {MIXED_SUBJECTS} if len(given.subjects) > 1 else set()
    return Labels(
        tenant=target.principal.tenant,
        collection=target.collection,
        sensitivity=given.sensitivity,
        department=given.department,
        restrictions=given.restrictions | mixed,
        retain_until=given.retain_until,
    )


def _open_regular(path: Path) -> BufferedReader:
    # The check is made on what was opened: the name may come to mean something else in between.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise QuarantinedError("not_a_file", "this is a pipe, a device or a socket")
    return os.fdopen(handle, "rb")
