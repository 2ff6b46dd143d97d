"""The verifier finds every change and names the first bad record."""

import ast
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ragplatform.audit import verify as verifier
from ragplatform.audit.layout import segments
from ragplatform.audit.note import Signer
from ragplatform.audit.verify import VerifyReport, verify
from ragplatform.errors import NotFoundError
from tests.fakes_audit import ORIGIN, SIGNING_KEY, event, open_log, write_groups
from tests.fakes_disk import copy_log

KEY = Signer(ORIGIN, SIGNING_KEY).public_key
COMMIT = b'{"checkpoint"'

# Groups of 1, 3, 1, 2 and 1 records.
GROUPS = [1, 3, 1, 2, 1]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    # No one writes these logs, so there is nothing to wait for.
    monkeypatch.setattr(verifier, "_PATIENCE_S", 0.0)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pristine") / "log"
    write_groups(directory, GROUPS)
    return directory


@pytest.fixture
def log(pristine: Path, tmp_path: Path) -> Path:
    return copy_log(pristine, tmp_path / "log")


def lines_of(log: Path) -> list[bytes]:
    return segments(log)[0][1].read_bytes().splitlines(keepends=True)


def put_lines(log: Path, lines: list[bytes]) -> None:
    segments(log)[0][1].write_bytes(b"".join(lines))


def record_positions(lines: list[bytes]) -> list[int]:
    """Where each record's line stands, by index."""
    return [i for i, line in enumerate(lines) if not line.startswith(COMMIT)]


def checked(log: Path, held: str | None = None) -> VerifyReport:
    return verify(log, public_key=KEY, held_checkpoint=held)


def first_bad_lines(lines: list[bytes], offset: int) -> set[int]:
    """The record that a flip at this offset must be blamed on; for a commit line its group's."""
    group: list[int] = []
    index = 0
    start = 0
    for line in lines:
        if line.startswith(COMMIT):
            if start <= offset < start + len(line):
                return set(group)
            group = []
        else:
            group.append(index)
            if start <= offset < start + len(line):
                return {index}
            index += 1
        start += len(line)
    raise AssertionError("past the end")


def test_an_untouched_log_verifies(log: Path) -> None:
    report = checked(log)

    assert report.ok
    assert report.problem == ""
    assert (report.records, report.origin) == (8, ORIGIN)
    assert report.checkpoints == 6  # five groups and the checkpoint beside them
    assert report.root in (log / "checkpoint").read_text()


def test_a_byte_flipped_at_every_offset_is_found_and_its_record_named(log: Path) -> None:
    lines = lines_of(log)
    path = segments(log)[0][1]
    whole = b"".join(lines)
    # The lowest bit everywhere; here and there the bit of upper and lower case, and all bits.
    masks = {0: (0x01, 0x20), 1: (0x01, 0xFF), 2: (0x01,)}
    flips = [(offset, mask) for offset in range(len(whole)) for mask in masks[offset % 3]]
    for offset, mask in flips:
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ mask]) + whole[offset + 1 :])

        report = checked(log)

        assert not report.ok, offset
        assert report.first_bad in first_bad_lines(lines, offset), (offset, report)
        assert report.problem


@pytest.mark.parametrize("name", ["key.pub", "checkpoint"])
@pytest.mark.parametrize("public_key", [KEY, None])
def test_a_byte_flipped_in_the_key_or_checkpoint_is_found(
    log: Path, name: str, public_key: bytes | None
) -> None:
    whole = (log / name).read_bytes()
    for offset in range(len(whole)):
        for mask in (0x01, 0x20, 0xFF):
            flipped = bytes([whole[offset] ^ mask])
            (log / name).write_bytes(whole[:offset] + flipped + whole[offset + 1 :])

            assert not verify(log, public_key=public_key).ok, (offset, mask)


@pytest.mark.parametrize("name", ["key.pub", "checkpoint"])
def test_a_missing_or_longer_key_or_checkpoint_is_found(log: Path, name: str) -> None:
    whole = (log / name).read_bytes()
    (log / name).write_bytes(whole + b"\n")
    longer = checked(log)
    (log / name).unlink()
    missing = checked(log)

    assert (longer.ok, missing.ok) == (False, False)


def test_a_deleted_record_is_found_and_named(log: Path) -> None:
    lines = lines_of(log)
    for index, position in enumerate(record_positions(lines)):
        put_lines(log, lines[:position] + lines[position + 1 :])

        report = checked(log)

        assert (report.ok, report.first_bad) == (False, index)


def test_a_duplicated_record_is_found_and_named(log: Path) -> None:
    lines = lines_of(log)
    for index, position in enumerate(record_positions(lines)):
        put_lines(log, lines[: position + 1] + lines[position:])

        report = checked(log)

        assert not report.ok
        assert report.first_bad == index + 1 or lines[position + 1].startswith(COMMIT)
        assert report.first_bad in {index, index + 1}


def test_an_inserted_record_is_found_and_named(log: Path) -> None:
    lines = lines_of(log)
    forged = lines[1 + 1].replace(b"u:anna", b"u:anne")
    for index, position in enumerate(record_positions(lines)):
        put_lines(log, [*lines[:position], forged, *lines[position:]])

        report = checked(log)

        assert (report.ok, report.first_bad) == (False, index)


def test_two_swapped_records_are_found_and_the_first_named(log: Path) -> None:
    lines = lines_of(log)
    positions = record_positions(lines)
    for first in range(len(positions)):
        for second in range(first + 1, len(positions)):
            swapped = lines.copy()
            a, b = positions[first], positions[second]
            swapped[a], swapped[b] = swapped[b], swapped[a]
            put_lines(log, swapped)

            report = checked(log)

            assert (report.ok, report.first_bad) == (False, first)


def test_a_log_cut_at_any_line_or_byte_is_found(log: Path) -> None:
    lines = lines_of(log)
    whole = b"".join(lines)
    for end in range(len(whole)):
        segments(log)[0][1].write_bytes(whole[:end])

        report = checked(log)

        assert not report.ok, end
        assert report.first_bad is not None
        gone = min(first_bad_lines(lines, end))
        assert report.first_bad <= gone


def test_a_group_deleted_duplicated_or_swapped_with_its_commit_is_found(log: Path) -> None:
    groups: list[list[bytes]] = [[]]
    for line in lines_of(log):
        groups[-1].append(line)
        if line.startswith(COMMIT):
            groups.append([])
    groups.pop()
    sizes = [len(group) - 1 for group in groups]
    for place in range(len(groups)):
        base = sum(sizes[:place])
        deleted = groups[:place] + groups[place + 1 :]
        doubled = groups[: place + 1] + groups[place:]
        for changed, bad in ((deleted, base), (doubled, base + sizes[place])):
            put_lines(log, [line for group in changed for line in group])

            report = checked(log)

            assert (report.ok, report.first_bad) == (False, bad)


def test_an_emptied_log_is_found(log: Path) -> None:
    for path in log.glob("segment-*"):
        path.unlink()

    report = checked(log)

    assert (report.ok, report.first_bad) == (False, 0)


def test_a_lost_renamed_or_foreign_segment_is_found(tmp_path: Path) -> None:
    with open_log(tmp_path / "log", segment_bytes=1000) as log:
        for number in range(9):
            log.append(event(number))
    paths = segments(tmp_path / "log")
    assert len(paths) > 3
    for place, (first, path) in enumerate(paths):
        content = path.read_bytes()
        path.unlink()
        lost = checked(tmp_path / "log")
        path.with_name(f"segment-{first + 1:012d}.jsonl").write_bytes(content)
        renamed = checked(tmp_path / "log")
        path.with_name(f"segment-{first + 1:012d}.jsonl").unlink()
        path.write_bytes(content)
        (tmp_path / "log" / "segment-x").write_bytes(b"")
        foreign = checked(tmp_path / "log")
        (tmp_path / "log" / "segment-x").unlink()

        assert (lost.ok, lost.first_bad) == (False, first), place
        assert (renamed.ok, renamed.first_bad) == (False, first)
        assert not foreign.ok
    assert checked(tmp_path / "log").ok


def forger(seed: bytes) -> Callable[[Path, int], str]:
    """Return how to write a log of so many records with a key; it gives the last checkpoint."""

    def write(directory: Path, records: int) -> str:
        with open_log(directory, signing_key=seed) as log:
            for number in range(records):
                log.append(event(number, actor="u:forged"))
            return log.checkpoint()

    return write


def test_a_log_rewritten_with_another_key_is_found_by_the_trusted_key(tmp_path: Path) -> None:
    forger(bytes(32))(tmp_path / "log", 3)

    report = checked(tmp_path / "log")

    assert not report.ok
    assert "not the key that was given" in report.problem
    assert verify(tmp_path / "log", public_key=None).ok


def test_forged_commits_are_told_from_good_ones_by_their_signature(
    tmp_path: Path, log: Path
) -> None:
    """Someone without the key rewrites all from record 4 on, consistent in itself."""
    lines = lines_of(log)
    place = record_positions(lines)[4]
    forger(bytes(32))(tmp_path / "forged", 8)
    put_lines(log, lines[:place] + lines_of(tmp_path / "forged")[2 * 4 :])

    report = checked(log)

    assert (report.ok, report.first_bad, report.records) == (False, 4, 4)


def test_a_rollback_is_found_with_a_held_checkpoint_and_with_that_alone(
    tmp_path: Path,
) -> None:
    with open_log(tmp_path / "log") as log:
        log.append(event(0))
    copy_log(tmp_path / "log", tmp_path / "early")
    with open_log(tmp_path / "log") as log:
        log.append(event(1))
        held = log.checkpoint()

    report = checked(tmp_path / "early", held)

    assert checked(tmp_path / "early").ok
    assert (report.ok, report.first_bad) == (False, 1)
    assert "missing" in report.problem
    assert checked(tmp_path / "log", held).ok


def test_a_fork_by_someone_who_has_the_key_is_found_with_a_held_checkpoint(
    tmp_path: Path,
) -> None:
    with open_log(tmp_path / "log") as log:
        for number in range(3):
            log.append(event(number))
        held = log.checkpoint()
    forger(SIGNING_KEY)(tmp_path / "forged", 5)

    report = checked(tmp_path / "forged", held)

    assert checked(tmp_path / "forged").ok
    assert not report.ok
    assert "rewritten" in report.problem


def test_each_checkpoint_that_was_ever_given_out_fits_the_log(tmp_path: Path) -> None:
    with open_log(tmp_path / "log") as log:
        held = [log.checkpoint()]
        for number in range(5):
            log.append(event(number))
            held.append(log.checkpoint())

    assert all(checked(tmp_path / "log", note).ok for note in held)
    cosigned = held[2] + "— witness.example/w AAAAAAAA\n"
    assert checked(tmp_path / "log", cosigned).ok


@pytest.mark.parametrize("held", ["", "x", f"{ORIGIN}\n8\nAAAA\n\n— {ORIGIN} AAAA\n"])
def test_a_held_checkpoint_that_is_none_is_said(log: Path, held: str) -> None:
    report = checked(log, held)

    assert not report.ok
    assert "held elsewhere" in report.problem


def test_a_folder_without_a_log_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        checked(tmp_path / "none")
    with pytest.raises(NotFoundError):
        checked(tmp_path)


def test_a_log_without_records_verifies(tmp_path: Path) -> None:
    open_log(tmp_path / "log").close()

    report = checked(tmp_path / "log")

    assert (report.ok, report.records) == (True, 0)


def test_a_log_can_be_verified_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier, "_PATIENCE_S", 5.0)
    with open_log(tmp_path / "log", segment_bytes=50_000) as log:
        writer = threading.Thread(
            target=lambda: [log.append(event(number)) for number in range(600)]
        )
        writer.start()
        while writer.is_alive():
            report = checked(tmp_path / "log", log.checkpoint())
            assert report.ok, report
        writer.join()


def test_the_verifier_shares_no_code_with_the_writer() -> None:
    own = {"verify", "verify_files", "verify_notes", "verify_tree"}
    folder = Path(verifier.__file__).parent
    imported: set[str] = set()
    for name in own:
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
            elif isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)

    ours = {name for name in imported if name.startswith("ragplatform")}
    assert ours <= {"ragplatform.errors", *(f"ragplatform.audit.{name}" for name in own)}
