"""The evidence package: records, proofs, checkpoints, keys and policies in one archive.

An auditor checks it offline, with nothing of ours but a script of standard Python that is inside.
The same records of the same log make the same bytes.
"""

import base64
import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from ragplatform.audit import query
from ragplatform.audit.export import reading
from ragplatform.audit.export.package_readme import Packaged, readme
from ragplatform.audit.export.selection import Entry, Selection, entries, not_here
from ragplatform.audit.layout import KEY
from ragplatform.audit.merkle import leaf_hash, node_hash
from ragplatform.audit.note import Checkpoint, Signer
from ragplatform.audit.proofs import inclusion_proofs
from ragplatform.audit.record import canonical, stamp
from ragplatform.errors import TamperedError

MANIFEST: Final = "MANIFEST"
VERIFIER: Final = "verify_package.py"

# The earliest that a zip can say; when a package was made stands in its manifest, signed.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)

# What witnesses gave back, beside the log: see the log's own documentation.
_COSIGNED: Final = "checkpoint.cosigned"
_TIMESTAMPS: Final = ("checkpoint.stamped", "checkpoint.tsr")


@dataclass(frozen=True, slots=True)
class _State:
    """The signed state of a log that all its proofs in a package lead to."""

    log: Path
    note: str
    checkpoint: Checkpoint


class PackageMaker:
    """Makes evidence packages of one deployment.

    ``signer`` gives the signer of an origin, and ``policies`` the texts of a set of policies by
    its digest, or None where none is kept.
    """

    def __init__(
        self,
        *,
        signer: Callable[[str], Signer],
        policies: Callable[[str], Mapping[str, str] | None],
    ) -> None:
        self._signer = signer
        self._policies = policies

    def make(
        self,
        out: BinaryIO,
        logs: Sequence[Path],
        selection: Selection,
        *,
        signed_by: str,
        watch: Callable[[Iterable[Entry]], Iterable[Entry]] = iter,
    ) -> Packaged:
        """Write the package of the wanted records.

        1. Take each log's newest checkpoint, cosigned if it covers all, and check its signature.
        2. Write the records' lines as they are, and the key.
        3. Write a proof for each, after seeing that it leads to the root that was signed.
        4. Write the policies that the records name, the verifier and the instructions.
        5. Name every file with its digest in a manifest, signed by the log ``signed_by``.

        Raises ``TamperedError`` when a record or checkpoint is not what was written: then
        ``ragplatform audit verify`` says more.
        """
        with closing(_Archive(out)) as archive:
            return self._fill(archive, logs, selection, signed_by, watch)

    def _fill(
        self,
        archive: "_Archive",
        logs: Sequence[Path],
        selection: Selection,
        signed_by: str,
        watch: Callable[[Iterable[Entry]], Iterable[Entry]],
    ) -> Packaged:
        records = 0
        named: set[str] = set()
        keys = {signed_by}
        for log in logs:
            state = self._state(log, selection)  # 1
            count, digests = _write_records(archive, state, watch(_below(state, selection)))  # 2
            if count:
                _write_proofs(archive, state, _below(state, selection))  # 3
                _write_witnesses(archive, log)
                keys.add(log.name)
            records += count
            named |= digests
        for origin in sorted(keys):
            archive.put(f"keys/{origin}.pub", (self._signer(origin).verifier_key + "\n").encode())
        kept, lost = self._write_policies(archive, sorted(named))  # 4
        absent = {log.name: count for log in logs if (count := not_here(log))}
        done = Packaged(records, kept, lost, absent)
        archive.put(VERIFIER, Path(__file__).with_name(VERIFIER).read_bytes())
        archive.put("README.md", readme(selection, signed_by, done).encode())
        manifest = _manifest(archive.digests, selection)
        archive.put(MANIFEST, self._signer(signed_by).sign_text(manifest).encode())  # 5
        return done

    def _state(self, log: Path, selection: Selection) -> _State:
        signer = self._signer(log.name)
        if (log / KEY).read_text("utf-8").strip() != signer.verifier_key:
            raise TamperedError(f"{log / KEY} is not the key of this deployment for {log.name}")
        newest = query.newest_checkpoint(log)
        state = _State(log, newest, signer.open(newest))
        cosigned = log / _COSIGNED
        if not cosigned.is_file():
            return state
        note = cosigned.read_text("utf-8")
        seen = _State(log, note, signer.open(_own_part(note, signer.origin)))
        last = max((entry.record.index for entry in _below(state, selection)), default=-1)
        return seen if last < seen.checkpoint.size else state

    def _write_policies(
        self, archive: "_Archive", digests: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        kept, lost = [], []
        for digest in digests:
            texts = self._policies(digest)
            if texts is None:
                lost.append(digest)
                continue
            kept.append(digest)
            for name, text in sorted(texts.items()):
                archive.put(f"policies/{digest}/{name}", text.encode())
        return tuple(kept), tuple(lost)


class _Archive:
    """A zip that is written file by file, each digested on its way."""

    def __init__(self, out: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED)
        self.digests: dict[str, str] = {}

    def put(self, name: str, data: bytes) -> None:
        with self.file(name) as write:
            write(data)

    @contextmanager
    def file(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """Open one file of the archive; yields what writes to it."""
        about = zipfile.ZipInfo(name, _NO_TIME)
        about.compress_type = zipfile.ZIP_DEFLATED
        about.external_attr = 0o600 << 16
        digest = hashlib.sha256()
        with self._zip.open(about, "w", force_zip64=True) as file:

            def write(data: bytes) -> None:
                digest.update(data)
                file.write(data)

            yield write
        self.digests[name] = digest.hexdigest()

    def close(self) -> None:
        self._zip.close()


def _below(state: _State, selection: Selection) -> Iterator[Entry]:
    for entry in entries([state.log], selection):
        if entry.record.index >= state.checkpoint.size:
            return
        yield entry


def _write_records(
    archive: _Archive, state: _State, found: Iterable[Entry]
) -> tuple[int, set[str]]:
    """Write checkpoint and lines; a log without wanted records leaves nothing in the package."""
    count = 0
    policies: set[str] = set()
    first, rest = _first(found)
    if first is None:
        return 0, policies
    folder = f"logs/{state.log.name}"
    archive.put(f"{folder}/checkpoint", state.note.encode())
    with archive.file(f"{folder}/events.ndjson") as write:
        for entry in _chain(first, rest):
            write(entry.line + b"\n")
            count += 1
            if digest := reading.policy(entry.record):
                policies.add(digest)
    return count, policies


def _write_proofs(archive: _Archive, state: _State, found: Iterable[Entry]) -> None:
    size = state.checkpoint.size
    proof_of = inclusion_proofs(state.log, size)
    with archive.file(f"logs/{state.log.name}/proofs.ndjson") as write:
        for entry in found:
            index = entry.record.index
            proof = proof_of(index)
            if _root(leaf_hash(entry.line), index, size, proof) != state.checkpoint.root:
                raise TamperedError(
                    f"record {index} of {state.log.name} is not in the log that was signed: run "
                    "`ragplatform audit verify`"
                )
            steps = [base64.b64encode(step).decode() for step in proof]
            write(canonical({"index": index, "proof": steps}) + b"\n")


def _write_witnesses(archive: _Archive, log: Path) -> None:
    for path in (log / name for name in (_COSIGNED, *_TIMESTAMPS)):
        if path.is_file():
            archive.put(f"logs/{log.name}/{path.name}", path.read_bytes())


def _root(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that a proof leads to. Source: RFC 9162, section 2.1.3.2."""
    node, last = index, size - 1
    for step in proof:
        if node & 1 or node == last:
            leaf = node_hash(step, leaf)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            leaf = node_hash(leaf, step)
        node, last = node >> 1, last >> 1
    return leaf if last == 0 else b""


def _own_part(note: str, origin: str) -> str:
    """Return a cosigned checkpoint with the signature of its log alone."""
    text, _, signatures = note.partition("\n\n")
    ours = [line for line in signatures.split("\n") if line.startswith(f"— {origin} ")]
    return f"{text}\n\n" + "".join(f"{line}\n" for line in ours)


def _manifest(digests: Mapping[str, str], selection: Selection) -> str:
    """Return the text to sign. Its first line holds spaces, as no origin does."""
    lines = [
        "ragplatform evidence package v1",
        f"made {stamp(selection.until)}",
        f"tenant {selection.tenant or '*'}",
        f"selection {json.dumps(selection.said(), sort_keys=True)}",
        *(f"{digest}  {name}" for name, digest in sorted(digests.items())),
    ]
    return "".join(f"{line}\n" for line in lines)


def _first(found: Iterable[Entry]) -> tuple[Entry | None, Iterator[Entry]]:
    rest = iter(found)
    return next(rest, None), rest


def _chain(first: Entry, rest: Iterable[Entry]) -> Iterator[Entry]:
    yield first
    yield from rest
