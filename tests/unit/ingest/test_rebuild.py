"""A lost or damaged index comes back from ledger, catalog and archive as it was, to the bit."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import qdrant_edge as engine
from qdrant_client import QdrantClient

from ingest.aside_place import AsidePlace
from ingest.consistency import Survey, indexed_passages
from ingest.ledger import Ledger, State
from ingest.rebuild import Rebuilder, Rebuilt
from ingest.replay import ErasureReplay, Erasures, erasures_in
from ingest.report import FileState
from ingest.sources import GivenLabels, SourceFile
from ingest.work import Work
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.adapters.filters import CLASS_NUMBER
from ragplatform.adapters.qdrant import QdrantIndex
from ragplatform.audit import query
from ragplatform.audit.events import Action
from ragplatform.model import Labels, Principal
from ragplatform.policy.classes import access_class
from ragplatform.ports import Entry, Index
from ragplatform.privacy.tokens import embed_view
from tests.ingest_crash import (
    DIM,
    DigestEmbedder,
    Fuse,
    Parts,
    apart,
    erase,
    first_version,
    ingest,
    opened,
    second_version,
)
from tests.stored import copy_data

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
POINTS = 10_000
EVERY = int(os.environ.get("RAGPLATFORM_KILLS", "4")) >= 20


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A deployment with five documents in."""
    first_version(tmp_path / "files")
    ingest(tmp_path / "files", tmp_path / "data", Fuse())
    return tmp_path / "data"


def rebuilder(parts: Parts, index: Index, embedder: DigestEmbedder) -> Rebuilder:
    return Rebuilder(
        principal=Principal("rebuild-mercy", "mercy", frozenset({"operator"})),
        run=os.urandom(8).hex(),
        policy="digest",
        survey=Survey(
            ledger=parts.ledger, catalog=parts.catalog, archive=parts.archive, index=index
        ),
        embed_view=embed_view,
        embedder=embedder,
        weigher=Bm25Weigher(),
        index=index,
        catalog=parts.catalog,
        ledger=parts.ledger,
        archive=parts.archive,
        audit=parts.audit,
    )


def rebuild(
    data: Path, *, fuse: Fuse | None = None, dry_run: bool = False, embedder: object = None
) -> Rebuilt:
    with opened(data, fuse or Fuse()) as parts:
        made = rebuilder(parts, parts.index, embedder or DigestEmbedder())  # type: ignore[arg-type]
        return made.rebuild(deep=True, dry_run=dry_run)


def points(data: Path) -> dict[str, tuple[object, ...]]:
    """Return every point of the engine as it is stored: payload and both vectors."""
    shard = engine.EdgeShard.load(str(data / "index" / "edge"), None)
    found, _ = shard.scroll(engine.ScrollRequest(limit=POINTS, with_payload=True, with_vector=True))
    kept = {
        str(one.id): (one.payload, one.vector["dense"], sparse(one.vector["terms"]))
        for one in found
    }
    shard.close()
    return kept


def sparse(vector: object) -> list[tuple[int, float]]:
    return sorted(zip(vector.indices, vector.values, strict=True))  # type: ignore[attr-defined]


def test_a_lost_index_comes_back_with_the_same_ids_payloads_and_vectors(data: Path) -> None:
    before = points(data)
    shutil.rmtree(data / "index")

    done = rebuild(data)

    assert points(data) == before
    assert (done.documents, done.chunks, done.embedded) == (5, len(before), 0)
    assert (done.mended, done.exit_code) == ({"missing": 5}, 0)


def test_a_lost_collection_of_a_server_comes_back_the_same(data: Path) -> None:
    # qdrant-client's local mode stands in for the server's API.
    embedded = points(data)
    client = QdrantClient(":memory:")
    made = []
    for _ in range(2):
        client.delete_collection("passages")
        with opened(data, Fuse()) as parts:
            index = QdrantIndex(client=client, collection="passages", dim=DIM)
            rebuilder(parts, index, DigestEmbedder()).rebuild(deep=True, dry_run=False)
            found, _ = client.scroll("passages", limit=POINTS, with_vectors=True)
            made.append({str(one.id): (one.payload, one.vector) for one in found})
    client.close()

    assert made[0] == made[1]
    # The number of a class is kept by the embedded index alone.
    assert {
        name: {**payload, CLASS_NUMBER: embedded[name][0][CLASS_NUMBER]}
        for name, (payload, _) in made[0].items()
    } == {name: point[0] for name, point in embedded.items()}


class OtherEmbedder(DigestEmbedder):
    """Another encoder."""

    version = "digest-2"

    def embed(self, texts):  # type: ignore[no-untyped-def]
        return super().embed([text[::-1] for text in texts])


def test_another_encoder_s_vectors_are_made_anew_and_the_kept_ones_not_used(data: Path) -> None:
    before = points(data)
    shutil.rmtree(data / "index")

    done = rebuild(data, embedder=OtherEmbedder())

    after = points(data)
    assert done.embedded == len(before)
    assert {name: point[0] for name, point in after.items()} == {
        name: point[0] for name, point in before.items()
    }
    assert all(after[name][1] != before[name][1] for name in before)


def test_an_index_put_back_to_an_older_copy_is_found_out_and_mended(
    data: Path, tmp_path: Path
) -> None:
    copy_data(data / "index", tmp_path / "older")
    second_version(tmp_path / "files")
    ingest(tmp_path / "files", data, Fuse())
    newer = points(data)
    shutil.rmtree(data / "index")
    copy_data(tmp_path / "older", data / "index")

    seen = rebuild(data, dry_run=True)
    older = points(data)
    done = rebuild(data)

    # One was added, one is there in its older version, and three were taken out for what they are.
    assert seen.found == {"missing": 2, "stale": 1, "orphan": 3}
    assert (seen.exit_code, older == newer) == (1, False)
    assert (points(data), done.exit_code) == (newer, 0)
    assert rebuild(data, dry_run=True).found == {}


def test_a_passage_that_was_changed_in_the_index_is_put_right(data: Path) -> None:
    before = points(data)
    with opened(data, Fuse()) as parts:
        index = parts.index
        row = parts.ledger.entries(state=State.INDEXED)[0]
        [*found] = indexed_passages(index, "mercy", row.document, row.generation)
        forged = replace(found[0], chunk=replace(found[0].chunk, text="Nothing to see."))
        index.upsert([Entry(forged, [1.0] * DIM, Bm25Weigher().weigh_document("x"))])

    done = rebuild(data)

    assert done.found == {"changed": 1}
    assert points(data) == before


def test_a_document_labelled_anew_comes_back_under_its_new_labels(data: Path) -> None:
    with opened(data, Fuse()) as parts:
        entry = parts.catalog.documents("mercy")[0]
        labels = parts.catalog.classes("mercy")[entry.access_class]
        closed = replace(labels, restrictions=frozenset({"vip"}))
        relabel(parts, entry.document, closed)
    before = points(data)
    shutil.rmtree(data / "index")

    rebuild(data)

    assert points(data) == before


def relabel(parts: Parts, document: str, labels: Labels) -> None:
    name = access_class(labels)
    entry = parts.catalog.document(document)
    assert entry is not None
    parts.catalog.register(labels, name)
    parts.catalog.put_document(replace(entry, access_class=name))
    parts.index.relabel(document, labels, name)


def test_what_was_erased_stays_out(data: Path) -> None:
    erase(data, Fuse())
    shutil.rmtree(data / "index")

    done = rebuild(data)

    assert (done.documents, points(data), done.found) == (0, {}, {})
    assert [path for path in (data / "sealed").rglob("*") if path.is_file()] == []


def test_passages_that_nobody_answers_for_are_removed_on_record(data: Path, tmp_path: Path) -> None:
    copy_data(data / "index", tmp_path / "older")
    erase(data, Fuse())
    shutil.rmtree(data / "index")
    copy_data(tmp_path / "older", data / "index")

    done = rebuild(data)

    records = recorded(data)
    assert (done.found, done.exit_code, points(data)) == ({"orphan": 5}, 0, {})
    assert [one["stage"] for one in records] == ["begun", *["orphan"] * 5, "done"]


def recorded(data: Path) -> list[dict[str, object]]:
    return [
        dict(record.details)
        for log in query.find_logs(data / "audit")
        for record in query.read(log, action=Action.INDEX_REBUILT)
    ]


def test_without_an_archive_the_index_is_what_it_is_made_from(data: Path) -> None:
    before = points(data)
    shutil.rmtree(data / "sealed")

    done = rebuild(data)
    shutil.rmtree(data / "index")
    again = rebuild(data)

    assert (done.mended, done.exit_code) == ({"unarchived": 5}, 0)
    # No vectors were kept, so they were made again, the same.
    assert (again.embedded, points(data)) == (len(before), before)


def test_a_document_that_neither_index_nor_archive_has_is_taken_in_by_the_next_run(
    data: Path, tmp_path: Path
) -> None:
    before = points(data)
    shutil.rmtree(data / "sealed")
    shutil.rmtree(data / "index")

    done = rebuild(data)
    ingest(tmp_path / "files", data, Fuse())

    assert (done.found, done.pending, done.exit_code) == ({"lost": 5}, 5, 1)
    assert points(data) == before
    assert rebuild(data, dry_run=True).found == {}


def test_an_archived_file_that_was_altered_is_not_believed(data: Path) -> None:
    before = points(data)
    for path in (data / "sealed").rglob("*.sealed"):
        raw = bytearray(path.read_bytes())
        raw[-1] ^= 1
        path.write_bytes(raw)

    seen = rebuild(data, dry_run=True)
    done = rebuild(data)

    assert (seen.found, done.mended, done.exit_code) == ({"damaged": 5}, {"damaged": 5}, 0)
    shutil.rmtree(data / "index")
    rebuild(data)
    assert points(data) == before


def test_a_rebuild_killed_at_any_write_is_finished_by_the_next(data: Path, tmp_path: Path) -> None:
    before = points(data)
    shutil.rmtree(data / "index")
    ends = []
    for at in range(1, 40, 1 if EVERY else 3):
        copy = tmp_path / str(at)
        copy_data(data, copy)
        fuse = Fuse(at)
        ends.append(apart(lambda copy=copy, fuse=fuse: rebuild(copy, fuse=fuse)))
        if ends[-1] == 0:
            break
        done = rebuild(copy)
        assert (points(copy), done.exit_code) == (before, 0)
    assert len(ends) > 2
    assert ends[-1] == 0


class Meanwhile:
    """An index in whose first write something else happens."""

    def __init__(self, index: Index, act: object) -> None:
        self._index = index
        self._act = act

    def __getattr__(self, name: str) -> object:
        return getattr(self._index, name)

    def upsert(self, entries: list[Entry]) -> None:
        act, self._act = self._act, None
        if act:
            act()  # type: ignore[operator]
        self._index.upsert(entries)


@contextmanager
def interrupted(data: Path, act: object) -> Iterator[tuple[Parts, Rebuilder]]:
    with opened(data, Fuse()) as parts:
        index = Meanwhile(parts.index, lambda: act(parts))  # type: ignore[operator]
        yield parts, rebuilder(parts, index, DigestEmbedder())  # type: ignore[arg-type]


def test_a_document_erased_while_a_rebuild_writes_it_does_not_come_back(data: Path) -> None:
    shutil.rmtree(data / "index")

    def erased(parts: Parts) -> None:
        for row in parts.ledger.entries():
            parts.archive.forget(row.tenant, row.document)
            parts.index.remove(row.tenant, row.document)

    with interrupted(data, erased) as (parts, made):
        made.rebuild(deep=True, dry_run=False)
        assert parts.index.count() == 0


def test_a_document_replaced_while_a_rebuild_writes_it_keeps_no_older_passage(
    data: Path, tmp_path: Path
) -> None:
    shutil.rmtree(data / "index")

    def replaced(parts: Parts) -> None:
        for row in parts.ledger.entries():
            parts.ledger.begin(
                tenant=row.tenant,
                collection=row.collection,
                source_key=row.source_key,
                sha256="0" * 64,
                document=row.document,
                generation="newer",
                run="other",
                display_name="x",
            )

    with interrupted(data, replaced) as (parts, made):
        made.rebuild(deep=True, dry_run=False)
        assert parts.index.count() == 0


def test_the_ledger_lets_a_lost_document_in_again_only_while_it_says_the_same(data: Path) -> None:
    ledger = Ledger(f"sqlite:///{data / 'catalog.db'}")
    row = ledger.entries()[0]

    assert not ledger.reopen(replace(row, generation="another"))
    assert ledger.reopen(row)
    assert not ledger.reopen(row)
    assert [one.document for one in ledger.pending()] == [row.document]
    ledger.close()


def aside_place(parts: Parts) -> AsidePlace:
    return AsidePlace(
        opened=lambda: nullcontext(parts.aside),
        ledger=parts.ledger,
        privacy=parts.privacy,
        keeping=parts.keeping,
    )


def test_what_waits_in_a_restored_quarantine_is_erased_again(data: Path) -> None:
    with opened(data, Fuse()) as parts:
        ref = parts.privacy.subject_ref("mercy", "mrn:1")
        whose = [frozenset({ref}), frozenset[str](), frozenset[str]()]
        for number, subjects in enumerate(whose):
            work = Work(
                source=SourceFile(Path("a.txt"), "a.txt", GivenLabels()),
                data=b"a",
                key=f"k{number}",
                sha256=hashlib.sha256(b"a").hexdigest(),
                labels=Labels("mercy", "clinical"),
                subjects=subjects,
                document=f"doc-{number}",
                generation="g1",
            )
            parts.aside.keep(work, reason="contains_secret", detail="", run="r", put_by="x")
        replay = ErasureReplay(
            privacy=parts.privacy,
            index=parts.index,
            archive=parts.archive,
            catalog=parts.catalog,
            ledger=parts.ledger,
            register=parts.register,
            audit=parts.audit,
            places=(aside_place(parts),),
        )
        replay.replay(Erasures({("mercy", "doc-1"): frozenset()}, {("mercy", ref)}))
        assert [one.document for one in parts.aside.items("mercy")] == ["doc-2"]


def test_what_was_erased_since_a_backup_is_erased_again_by_newer_logs(
    data: Path, tmp_path: Path
) -> None:
    copy_data(data, tmp_path / "restored")
    erase(data, Fuse())

    with opened(tmp_path / "restored", Fuse()) as parts:
        replay = ErasureReplay(
            privacy=parts.privacy,
            index=parts.index,
            archive=parts.archive,
            catalog=parts.catalog,
            ledger=parts.ledger,
            register=parts.register,
            audit=parts.audit,
            places=(aside_place(parts),),
        )
        found = erasures_in(query.find_logs(data / "audit"))
        first, again = replay.replay(found), replay.replay(found)

    assert (first.documents, first.subjects, again.documents) == (5, 1, 0)
    assert first.values > 0
    assert points(tmp_path / "restored") == {}
    assert rebuild(tmp_path / "restored").found == {}


def replay_from(data: Path, logs: Path) -> None:
    with opened(data, Fuse()) as parts:
        ErasureReplay(
            privacy=parts.privacy,
            index=parts.index,
            archive=parts.archive,
            catalog=parts.catalog,
            ledger=parts.ledger,
            register=parts.register,
            audit=parts.audit,
            places=(aside_place(parts),),
        ).replay(erasures_in(query.find_logs(logs)))


def test_what_came_in_and_was_erased_after_a_backup_stays_out_once_erasures_are_replayed(
    data: Path, tmp_path: Path
) -> None:
    files, note = tmp_path / "files", "Maria Lopez came about a rash. "
    restored = copy_data(data, tmp_path / "restored")
    (files / "since.txt").write_text(note)
    ingest(files, data, Fuse())
    erase(data, Fuse())
    for path in files.glob("*.txt"):
        if path.name != "since.txt":
            path.unlink()

    replay_from(restored, data / "audit")
    again = ingest(files, restored, Fuse())
    (files / "since.txt").rename(files / "renamed.txt")
    renamed = ingest(files, restored, Fuse())
    once_more = ingest(files, restored, Fuse())

    assert again.states == {FileState.FORGOTTEN: 1}
    assert renamed.quarantined == once_more.quarantined == {"erased_before": 1}
    assert (once_more.bytes, points(restored)) == (0, {})


def test_what_was_erased_does_not_come_back_under_another_name(data: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    erase(data, Fuse())
    (files / "stays.txt").rename(files / "another.txt")

    report = ingest(files, data, Fuse())

    assert report.quarantined == {"erased_before": 1}
    with opened(data, Fuse()) as parts:
        [item] = parts.aside.items("mercy")
    assert item.reason == "erased_before"


def test_a_document_taken_in_again_after_its_erasure_is_not_erased_again(
    data: Path, tmp_path: Path
) -> None:
    erase(data, Fuse())
    with opened(data, Fuse()) as parts:
        for row in parts.ledger.entries():
            parts.ledger.revive(row.tenant, row.collection, row.source_key)
    ingest(tmp_path / "files", data, Fuse())

    found = erasures_in(query.find_logs(data / "audit"))

    assert found.documents == {}
