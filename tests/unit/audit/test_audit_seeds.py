"""Each record's seed can be destroyed, and no other goes with it."""

import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragplatform.audit.query import read
from ragplatform.audit.record import unseal
from ragplatform.audit.seeds import SealSeeds
from ragplatform.errors import AuditError, ConfigurationError, ForgottenError, TamperedError
from tests.fakes_audit import SEALING_KEY, event, open_log

INDEXES = st.sampled_from([*range(12), 254, 255, 256, 257, 65_535, 65_536, 2**32 - 1])


def reached(nodes: dict[str, str], index: int) -> bytes | None:
    """Derive a leaf anew from what the file holds, by the published construction alone."""
    way = format(index, "032b")
    for depth in range(33):
        if way[:depth] in nodes:
            seed = bytes.fromhex(nodes[way[:depth]])
            for bit in way[depth:]:
                seed = hashlib.sha256(seed + bit.encode()).digest()
            return seed
    return None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(gone=st.lists(INDEXES, max_size=6), asked=st.lists(INDEXES, min_size=1))
def test_what_is_destroyed_cannot_be_derived_and_all_else_stays_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, gone: list[int], asked: list[int]
) -> None:
    path = tmp_path_factory.mktemp("seeds") / "log.json"
    before = {index: SealSeeds(path).seed(index) for index in asked}
    assert SealSeeds(path).destroy(gone) == len(set(gone))

    after = SealSeeds(path)
    kept = json.loads(path.read_text())
    for index in asked:
        if index in gone:
            assert reached(kept, index) is None
            with pytest.raises(ForgottenError):
                after.seed(index)
        else:
            assert after.seed(index) == before[index] == reached(kept, index)


def test_what_another_process_destroyed_is_not_remembered(tmp_path: Path) -> None:
    mine, other = SealSeeds(tmp_path / "log.json"), SealSeeds(tmp_path / "log.json")
    kept = mine.seed(5), mine.seed(6)

    other.destroy([5])

    with pytest.raises(ForgottenError):
        mine.seed(5)
    assert mine.seed(6) == kept[1]


def test_the_former_seeds_are_overwritten_where_they_stood(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    SealSeeds(path).seed(0)
    with path.open("rb") as old:
        was = old.read()
        SealSeeds(path).destroy([0])
        old.seek(0)
        assert old.read() == bytes(len(was))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SealSeeds(path).destroy([0]) == 0


def test_a_damaged_file_keeps_the_act_from_happening(tmp_path: Path) -> None:
    path = tmp_path / "seals" / "log.json"
    SealSeeds(path).seed(0)
    path.write_text("{")

    with pytest.raises(TamperedError):
        SealSeeds(path).seed(1)
    with open_log(tmp_path / "log", seeds=SealSeeds(path)) as log:
        with pytest.raises(AuditError):
            log.append(event(sealed={"question": "x"}))
        log.append(event())


def test_one_record_of_a_log_is_destroyed_and_the_log_is_as_it_was(tmp_path: Path) -> None:
    seeds: Callable[[], SealSeeds] = lambda: SealSeeds(tmp_path / "log.json")  # noqa: E731
    with open_log(tmp_path / "log", seeds=seeds()) as log:
        for number in range(3):
            log.append(event(number, sealed={"question": f"question {number}"}))
        seeds().destroy([1])
        log.append(event(3, sealed={"question": "question 3"}))
    records = read(tmp_path / "log")

    with pytest.raises(ForgottenError):
        unseal(records[1], SEALING_KEY, seeds())
    for number in (0, 2, 3):
        opened = unseal(records[number], SEALING_KEY, seeds())
        assert opened == {"question": f"question {number}"}
    with pytest.raises(ConfigurationError):
        unseal(records[0], SEALING_KEY)
    with pytest.raises(TamperedError):
        unseal(records[0], bytes(32), seeds())
