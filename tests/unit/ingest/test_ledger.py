"""The ledger loses nothing, and lets only one live run work on a source."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.ledger import LEASE_S, Ledger, Place, State
from ingest.runs import Ended, Progress
from ragplatform.errors import ForgottenError, HeldError, UnavailableError
from ragplatform.holder import is_alive, this_process
from tests.state import begin

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'catalog.db'}"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    book = Ledger(url)
    yield book
    book.close()


def test_a_second_live_run_is_kept_off_a_source_in_work(ledger: Ledger) -> None:
    begin(ledger, run="r1")

    with pytest.raises(HeldError, match="r1"):
        begin(ledger, run="r2")


def test_a_run_that_lost_its_claim_cannot_settle(url: str) -> None:
    impatient = Ledger(url, lease_s=-1.0)
    lost = begin(impatient, run="r1")
    taken = begin(impatient, run="r2", version="g2")

    with pytest.raises(HeldError, match="lost"):
        impatient.commit_indexed(lost, chunks=3)
    with pytest.raises(HeldError, match="lost"):
        impatient.commit_quarantined(lost, reason="malformed")

    impatient.commit_indexed(taken, chunks=4)
    entry = impatient.lookup("mercy", "clinical", "k1")
    assert entry is not None
    assert (entry.state, entry.live_generation, entry.chunks) == (State.INDEXED, "g2", 4)
    impatient.close()


def test_a_claim_settles_once(ledger: Ledger) -> None:
    claim = begin(ledger)
    ledger.commit_indexed(claim, chunks=2)

    with pytest.raises(HeldError):
        ledger.commit_quarantined(claim, reason="late")


def test_what_was_forgotten_stays_out_until_revived(ledger: Ledger) -> None:
    ledger.commit_indexed(begin(ledger), chunks=2)
    ledger.forget("doc-k1")

    with pytest.raises(ForgottenError):
        begin(ledger, version="g2")

    assert ledger.revive("mercy", "clinical", "k1")
    assert not ledger.revive("mercy", "clinical", "k1")
    begin(ledger, version="g2")


def test_a_forgotten_source_leaves_no_byte_of_itself(ledger: Ledger, tmp_path: Path) -> None:
    ledger.commit_indexed(begin(ledger, version="unique-generation"), chunks=2)
    assert b"unique-generation" in _bytes_of(tmp_path)

    assert ledger.forget("doc-k1") == 1

    kept = _bytes_of(tmp_path)
    assert b"unique-generation" not in kept
    assert b"note for" not in kept
    entry = ledger.lookup("mercy", "clinical", "k1")
    assert entry is not None
    assert (entry.state, entry.sha256, entry.display_name) == (State.FORGOTTEN, "", "")


def test_a_quarantined_version_leaves_nothing_live(ledger: Ledger) -> None:
    ledger.commit_indexed(begin(ledger), chunks=5)

    ledger.commit_quarantined(begin(ledger, version="g2"), reason="encrypted")

    entry = ledger.lookup("mercy", "clinical", "k1")
    assert entry is not None
    assert (entry.state, entry.reason) == (State.QUARANTINED, "encrypted")
    assert (entry.live_generation, entry.chunks) == ("", 0)


def test_entries_and_counts_can_be_asked_by_tenant_and_state(ledger: Ledger) -> None:
    ledger.commit_indexed(begin(ledger, key="a"), chunks=1)
    ledger.commit_quarantined(begin(ledger, key="b"), reason="empty")
    begin(ledger, key="c")

    assert [entry.source_key for entry in ledger.entries()] == ["a", "b", "c"]
    assert [e.reason for e in ledger.entries(tenant="mercy", state=State.QUARANTINED)] == ["empty"]
    assert ledger.entries(tenant="harbor") == []
    assert ledger.entries(collection="other") == []
    assert [entry.source_key for entry in ledger.pending("mercy")] == ["c"]
    assert ledger.counts("mercy") == {
        ("mercy", "clinical", State.INDEXED): 1,
        ("mercy", "clinical", State.QUARANTINED): 1,
        ("mercy", "clinical", State.PENDING): 1,
    }


def test_a_run_lets_go_when_it_ends(ledger: Ledger) -> None:
    ledger.runs.start("r1", tenant="mercy", collection="clinical")
    begin(ledger, run="r1")

    ledger.runs.finish("r1", {"indexed": 0, "failed": 1})

    begin(ledger, run="r2")
    (run,) = ledger.runs.latest("mercy")
    assert run.counts == {"failed": 1, "indexed": 0}
    assert run.finished_at is not None
    assert not run.alive


def test_a_running_run_is_alive_and_ids_are_used_once(ledger: Ledger) -> None:
    ledger.runs.start("r1", tenant="mercy", collection="clinical")

    with pytest.raises(UnavailableError):
        ledger.runs.start("r1", tenant="mercy", collection="clinical")

    (run,) = ledger.runs.latest()
    assert run.alive
    assert run.finished_at is None


def test_the_claim_of_a_killed_process_is_free_at_once(ledger: Ledger, url: str) -> None:
    program = (
        "import os, signal\n"
        "from ingest.ledger import Ledger\n"
        f"ledger = Ledger({url!r})\n"
        "ledger.runs.start('dead', tenant='mercy', collection='clinical')\n"
        "ledger.begin(tenant='mercy', collection='clinical', source_key='k1', sha256='s',\n"
        "    document='doc-k1', generation='g1', run='dead', display_name='')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)

    (entry,) = ledger.pending()
    assert entry.run == "dead"
    assert [run.alive for run in ledger.runs.latest()] == [False]
    begin(ledger, run="r2")


def test_a_renewed_lease_holds(url: str) -> None:
    short = Ledger(url, lease_s=-1.0)
    begin(short, run="r1")
    long = Ledger(url)
    long.runs.beat("r1", Progress(), lease_s=LEASE_S)

    with pytest.raises(HeldError):
        begin(long, run="r2")
    short.close()
    long.close()


def test_what_a_source_has_and_what_lies_in_it_are_told_apart(ledger: Ledger) -> None:
    begin(ledger, key="archive", place=Place("share"))
    begin(ledger, key="member", place=Place("share", "archive"))
    begin(ledger, key="by-hand")

    assert ledger.keys_of("mercy", "clinical", "share") == ["archive"]
    assert ledger.keys_of("mercy", "clinical", "") == ["by-hand"]
    [inner] = ledger.inside("mercy", "clinical", "archive")
    assert (inner.source_key, inner.source) == ("member", "share")
    assert ledger.known("mercy", "clinical", ["member", "unknown"]) == {"member": inner}


def test_a_source_that_is_gone_leaves_its_key_alone_and_may_come_back(ledger: Ledger) -> None:
    ledger.commit_indexed(begin(ledger), chunks=2)

    ledger.commit_gone(begin(ledger, version=""))

    entry = ledger.lookup("mercy", "clinical", "k1")
    assert entry is not None
    assert (entry.state, entry.sha256, entry.display_name) == (State.GONE, "", "")
    assert ledger.keys_of("mercy", "clinical", "") == []
    begin(ledger, run="r2", version="g2")


def test_a_run_says_how_far_it_is_and_hears_that_it_is_to_end(ledger: Ledger) -> None:
    ledger.runs.start("r1", tenant="mercy", collection="clinical", arguments="sealed")

    assert not ledger.runs.beat("r1", Progress(files=3, seconds={"embed": 1.5}), lease_s=9)
    assert ledger.runs.cancel("r1")
    assert ledger.runs.beat("r1", Progress(files=4), lease_s=9)

    run = ledger.runs.find("r")
    assert run is not None
    assert (run.standing, run.progress.files, run.arguments) == ("cancelling", 4, "sealed")
    ledger.runs.finish("r1", {}, ended=Ended.CANCELLED)
    run = ledger.runs.find("r1")
    assert run is not None
    assert (run.standing, run.arguments) == ("cancelled", "")
    assert not ledger.runs.cancel("r1")


def test_a_database_that_cannot_be_opened_says_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        Ledger(f"sqlite:///{tmp_path / 'missing' / 'catalog.db'}")


def test_a_process_is_known_by_more_than_its_number() -> None:
    mine = this_process()
    host, boot, pid, started = mine.split("|")

    assert is_alive(mine)
    assert not is_alive(f"{host}|{boot}|{pid}|{int(started) + 1}")
    assert not is_alive(f"{host}|another boot|{pid}|{started}")
    assert not is_alive(f"{host}|{boot}|x|{started}")
    assert is_alive(f"other-{host}|{boot}|{pid}|{started}")
    assert os.getpid() == int(pid)


def _bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
