"""The next edition of the index is built beside the one that answers, and is whole when it does."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ingest.reindex import Reindexed, Reindexer
from ragplatform import index_openers
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.adapters.edge import EdgeIndex
from ragplatform.adapters.steady import EveryEdition, SteadyIndex
from ragplatform.audit import query
from ragplatform.audit.events import Action
from ragplatform.config import Settings
from ragplatform.editions import EditionBook, EditionState, FollowedEditions
from ragplatform.errors import ConfigurationError, IndexUnavailableError, InvalidRequestError
from ragplatform.ports import Edition, Entry, Vectors
from tests.fakes import Bench
from tests.fakes_index import MemoryIndex
from tests.ingest_crash import DIM, DigestEmbedder, Fuse, Fused, Parts, apart, first_version, ingest
from tests.ingest_crash import opened as opened_parts
from tests.stored import copy_data
from tests.unit.ingest.test_rebuild import OtherEmbedder, points, rebuilder

EVERY = int(os.environ.get("RAGPLATFORM_KILLS", "4")) >= 20
WEIGHER = Bm25Weigher()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A deployment with five documents in, whose index answers by one encoder."""
    first_version(tmp_path / "files")
    ingest(tmp_path / "files", tmp_path / "data", Fuse())
    with book_in(tmp_path / "data") as book:
        add(book, DigestEmbedder())
    return tmp_path / "data"


@contextmanager
def book_in(data: Path) -> Iterator[EditionBook]:
    with closing(EditionBook(f"sqlite:///{data / 'catalog.db'}")) as book:
        yield book


def add(book: EditionBook, embedder: DigestEmbedder) -> str:
    return book.add(
        model=embedder.version, encoder=embedder.version, weigher=WEIGHER.version, dim=DIM
    ).name


def nothing(parts: Parts) -> None:
    """Nothing happens meanwhile."""


def reindex(
    data: Path, fuse: Fuse | None = None, meanwhile: Callable[[Parts], None] = nothing
) -> Reindexed:
    fuse = fuse or Fuse()
    with opened_parts(data, fuse) as parts, book_in(data) as book:
        before = book.answering()
        assert before is not None
        add(book, OtherEmbedder())
        [after] = [row for row in book.all() if row.encoder == OtherEmbedder.version]
        edge = EdgeIndex(folder=data / f"index{after.place}", dim=DIM)
        index = Fused("index", Busy(edge, lambda: meanwhile(parts)), fuse)
        try:
            return Reindexer(
                run="reindex",
                policy="digest",
                book=book,
                before=before,
                after=after,
                old={"mercy": rebuilder(parts, parts.index, DigestEmbedder())},
                new={"mercy": rebuilder(parts, index, OtherEmbedder())},  # type: ignore[arg-type]
                index=index,  # type: ignore[arg-type]
                ledger=parts.ledger,
                audit=parts.audit,
                sleep=lambda _: None,
            ).reindex()
        finally:
            edge.close()


class Busy:
    """An index before whose first write something else happens."""

    def __init__(self, index: EdgeIndex, act: Callable[[], None]) -> None:
        self._index = index
        self._act: Callable[[], None] | None = act

    def __getattr__(self, name: str) -> object:
        return getattr(self._index, name)

    def upsert(self, entries: Sequence[Entry]) -> None:
        act, self._act = self._act, None
        if act:
            act()
        self._index.upsert(entries)


def answering(data: Path) -> str:
    with book_in(data) as book:
        row = book.answering()
    assert row is not None
    return row.encoder


def edition(data: Path) -> dict[str, tuple[object, ...]]:
    """Return the points of the new edition's index."""
    with book_in(data) as book:
        [place] = [row.place for row in book.all() if row.encoder == OtherEmbedder.version]
    shadow = data.parent / "shadow"
    shutil.rmtree(shadow, ignore_errors=True)
    shadow.mkdir()
    copy_data(data / f"index{place}", shadow / "index")
    return points(shadow)


def test_the_old_edition_answers_until_the_new_one_is_whole(data: Path) -> None:
    seen: list[str] = []

    done = reindex(data, meanwhile=lambda _: seen.append(answering(data)))

    old, new = points(data), edition(data)
    assert (seen, answering(data)) == (["digest-1"], "digest-2")
    assert {name: one[0] for name, one in new.items()} == {n: o[0] for n, o in old.items()}
    assert all(new[name][1] != old[name][1] for name in old)
    assert (done.switched, done.embedded, done.exit_code) == (True, len(old), 0)


def test_the_switch_is_on_record_before_it_holds(data: Path) -> None:
    done = reindex(data)

    [record] = [
        record
        for log in query.find_logs(data / "audit")
        for record in query.read(log, action=Action.INDEX_SWITCHED)
    ]
    assert (record.details["before"], record.details["after"]) == (done.before, done.after)
    assert (record.details["documents"], record.details["chunks"]) == (5, done.chunks)


def test_what_is_erased_while_it_is_built_is_in_neither_edition(data: Path) -> None:
    def erased(parts: Parts) -> None:
        row = parts.ledger.entries()[0]
        parts.archive.forget(row.tenant, row.document)
        parts.index.remove(row.tenant, row.document)
        parts.ledger.forget(row.document)
        parts.catalog.delete_document(row.document)

    done = reindex(data, meanwhile=erased)

    assert (done.switched, done.exit_code) == (True, 0)
    assert edition(data).keys() == points(data).keys()


def test_a_reindex_killed_at_any_write_is_finished_by_the_next(data: Path, tmp_path: Path) -> None:
    ends = []
    for at in range(1, 60, 1 if EVERY else 4):
        copy = copy_data(data, tmp_path / f"at-{at}")
        fuse = Fuse(at)
        ends.append(apart(lambda copy=copy, fuse=fuse: reindex(copy, fuse)))
        if ends[-1] == 0:
            break
        if answering(copy) == "digest-1":
            reindex(copy)
        assert answering(copy) == "digest-2"
        assert edition(copy).keys() == points(copy).keys()
    assert ends[-1] == 0
    assert len(ends) > 2


def test_after_the_switch_the_kept_vectors_are_those_of_the_edition_that_answers(
    data: Path,
) -> None:
    reindex(data)

    with opened_parts(data, Fuse()) as parts:
        for row in parts.ledger.entries():
            kept = parts.archive.read(row.tenant, row.document, row.generation)
            assert kept is not None
            assert kept.encoder == OtherEmbedder.version
            assert kept.vectors is not None


def followed(data: Path, opened: Callable[[object], Edition]) -> FollowedEditions:
    book = EditionBook(f"sqlite:///{data / 'catalog.db'}")
    first = Edition(
        add(book, DigestEmbedder()), "digest-1", DigestEmbedder(), WEIGHER, MemoryIndex(dim=DIM)
    )
    return FollowedEditions(book=book, first=first, open_one=opened)  # type: ignore[arg-type]


def test_a_process_at_work_follows_the_switch_with_encoder_and_index_together(data: Path) -> None:
    second = MemoryIndex(dim=DIM)
    editions = followed(
        data,
        lambda row: Edition(row.name, "digest-2", OtherEmbedder(), WEIGHER, second),  # type: ignore[attr-defined]
    )
    before = editions.current()
    with book_in(data) as book:
        name = add(book, OtherEmbedder())
        assert editions.current() is before
        book.switch(name)

    now = editions.current()

    assert (now.embedder.version, now.index) == ("digest-2", second)
    # Who asked just before the switch still has its edition.
    assert before.index.count() == 0
    assert (editions.still(before), editions.still(now)) == (False, True)
    editions.close()


def test_a_process_that_cannot_make_the_new_edition_s_vectors_says_so(data: Path) -> None:
    def refused(row: object) -> Edition:
        raise ConfigurationError("no such model")

    editions = followed(data, refused)
    with book_in(data) as book:
        book.switch(add(book, OtherEmbedder()))

    with pytest.raises(IndexUnavailableError, match="start it again"):
        editions.current()
    editions.close()


def test_whoever_writes_to_an_edition_that_no_longer_answers_may_not_call_it_done() -> None:
    steady = SteadyIndex(MemoryIndex(dim=DIM), patience_s=0, still=lambda: False)

    for act in (
        lambda: steady.upsert([]),
        lambda: steady.retire("mercy", "d", "g"),
        lambda: steady.remove("mercy", "d"),
    ):
        with pytest.raises(IndexUnavailableError, match="run again"):
            act()


def test_what_is_erased_leaves_editions_that_do_not_answer_too(data: Path) -> None:
    asked: list[tuple[str, str]] = []

    class Other(MemoryIndex):
        def remove(self, tenant: str, document: str) -> int:
            asked.append((tenant, document))
            return super().remove(tenant, document)

    every = EveryEdition(
        MemoryIndex(dim=DIM), others=lambda: [Other(dim=DIM)], patience_s=0, still=lambda: True
    )

    every.remove("mercy", "letter")

    assert asked == [("mercy", "letter")]


def test_what_a_run_takes_out_or_keeps_back_leaves_every_edition(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, asked = bench(embedding_model="hash"), list[str]()

    class Other(MemoryIndex):
        def remove(self, tenant: str, document: str) -> int:
            asked.append(document)
            return super().remove(tenant, document)

        def close(self) -> None:
            """Hold nothing."""

    monkeypatch.setattr(
        index_openers, "open_other_indexes", lambda settings, name: [Other(dim=DIM)]
    )
    one.platform.store.for_writing().index.remove("mercy", "letter")

    assert asked == ["letter"]


class OnePerModel:
    """Encoders by the name of their model."""

    dim = DIM

    def __init__(self, version: str) -> None:
        self.version = version

    def embed(self, texts: Sequence[str]) -> Vectors:
        return DigestEmbedder().embed(texts)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Which version of an encoder each model gives."""
    known = {"all-minilm-l6-v2": "st-1", "larger": "st-2"}
    monkeypatch.setattr(
        index_openers,
        "open_embedder",
        lambda settings, model="", precision=None: OnePerModel(
            known[model or settings.embedding_model]
        ),
    )
    return known


def test_an_index_of_another_encoder_is_refused_and_not_mixed(
    tmp_path: Path, models: dict[str, str]
) -> None:
    chosen = Settings(data_dir=tmp_path)
    index_openers.open_editions(chosen).close()
    models["all-minilm-l6-v2"] = "st-changed"

    with pytest.raises(ConfigurationError, match="ragplatform-ingest reindex"):
        index_openers.open_editions(chosen)


def test_until_the_switch_questions_go_by_the_model_of_the_edition_that_answers(
    tmp_path: Path, models: dict[str, str]
) -> None:
    index_openers.open_editions(Settings(data_dir=tmp_path)).close()

    editions = index_openers.open_editions(Settings(data_dir=tmp_path, embedding_model="larger"))

    assert editions.current().embedder.version == models["all-minilm-l6-v2"]
    editions.close()


def test_the_edition_that_answers_cannot_be_dropped(data: Path) -> None:
    with book_in(data) as book:
        first, second = add(book, DigestEmbedder()), add(book, OtherEmbedder())

        with pytest.raises(InvalidRequestError):
            book.drop(first)
        book.switch(second)
        book.drop(first)

        assert [(row.name, row.state) for row in book.all()] == [(second, EditionState.ANSWERING)]
        with pytest.raises(InvalidRequestError):
            book.switch("none")
        # A switch to what is not there leaves the one that answers.
        assert book.answering() is not None
