"""The auditors' verifier: alone, short, and of one mind with the platform's on good and bad logs.

AUDIT_RANDOM_LOGS in the environment says on how many random logs they must agree.
"""

import ast
import io
import os
import random
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import ragplatform
from ragplatform.audit import verify as first
from ragplatform.audit.layout import segments
from ragplatform.audit.prove import growth_proof, record_proof
from ragplatform.audit.verify import verify
from ragplatform.errors import NotFoundError, TamperedError
from tests import second_verifier
from tests.fakes_audit import event, open_log, write_groups
from tests.fakes_disk import copy_log
from tests.second_verifier import SCRIPT, second

RANDOM_LOGS = int(os.environ.get("AUDIT_RANDOM_LOGS", "120"))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first, "_PATIENCE_S", 0.0)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("second") / "log"
    write_groups(directory, [1, 3, 1, 2, 1])
    return directory


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_has_under_200_lines_of_code() -> None:
    source = SCRIPT.read_text()
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = {
        line
        for token in tokens
        if token.type not in skipped and token.type != tokenize.ENDMARKER
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            code -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))

    assert len(code) < 200


def test_it_imports_the_standard_library_and_one_package_and_nobody_imports_it() -> None:
    imported = {
        (node.module or "").split(".")[0]
        for node in ast.walk(ast.parse(SCRIPT.read_text()))
        if isinstance(node, ast.ImportFrom)
    } | {
        alias.name
        for node in ast.walk(ast.parse(SCRIPT.read_text()))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    package = Path(ragplatform.__file__).parent
    others = [path for path in package.rglob("*.py") if path != SCRIPT]

    assert imported - set(sys.stdlib_module_names) == {"cryptography"}
    assert not [path for path in others if "import verify_audit" in path.read_text()]


def test_its_exit_codes_tell_good_tampered_and_unreadable(log: Path, tmp_path: Path) -> None:
    good = run(log, "--key", log / "key.pub", "--from-checkpoint", log / "checkpoint")
    copied = copy_log(log, tmp_path / "log")
    path = segments(copied)[0][1]
    path.write_bytes(path.read_bytes().replace(b'"number":5', b'"number":6'))
    bad = run(copied)
    (copied / "checkpoint").unlink()
    gone, none = run(copied), run(tmp_path / "none")

    assert (good.returncode, bad.returncode, gone.returncode, none.returncode) == (0, 1, 1, 2)
    assert "8 records" in good.stdout
    assert second_verifier.exit_line(bad.stdout) == 5


def test_it_finds_its_log_among_the_checkpoints_of_many_that_are_kept_together(
    log: Path, tmp_path: Path
) -> None:
    mine = (log / "checkpoint").read_text()
    theirs = mine.replace(mine.split("\n")[0], "another")
    held = tmp_path / "held"

    def code(text: str) -> int:
        held.write_text(text)
        return run(log, "--from-checkpoint", held).returncode

    assert code(f"{theirs}\n{mine}\n") == code(mine) == 0
    assert code(f"{mine}\n{theirs}") == 0
    assert code(theirs) == code("") == code(theirs + mine.replace("\n8\n", "\n9\n")) == 1


def tampered(log: Path, chance: random.Random) -> str:
    """Do something to a log, or nothing; say what."""
    paths = [path for _, path in segments(log)]
    path = chance.choice(paths)
    lines = path.read_bytes().splitlines(keepends=True)
    at = chance.randrange(len(lines))
    what = chance.choice("good flip drop double swap cut tile key checkpoint segment".split())
    if what == "flip":
        whole = bytearray(path.read_bytes())
        whole[chance.randrange(len(whole))] ^= chance.choice([1, 4, 32, 128])
        path.write_bytes(whole)
    elif what == "drop":
        path.write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
    elif what == "double":
        path.write_bytes(b"".join(lines[: at + 1] + lines[at:]))
    elif what == "swap":
        other = chance.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
        path.write_bytes(b"".join(lines))
    elif what == "cut":
        path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
    elif what == "segment":
        path.unlink()
    elif what != "good":
        tiles = sorted(path for path in (log / "tile").rglob("*") if path.is_file())
        named = {"key": log / "key.pub", "checkpoint": log / "checkpoint"}
        target = named.get(what) or chance.choice([*tiles, log / "checkpoint"])
        whole = bytearray(target.read_bytes())
        whole[chance.randrange(len(whole))] ^= 1
        target.write_bytes(whole)
    return what


@pytest.mark.timeout(3600)
def test_both_verifiers_agree_on_random_logs_good_and_bad(tmp_path: Path) -> None:
    chance = random.Random(11)
    bases = []
    for number in range(8):
        base = tmp_path / f"base-{number}"
        sizes = [
            1,
            *(size for _ in range(chance.randrange(6)) for size in (chance.randrange(1, 5), 1)),
        ]
        write_groups(base, sizes, segment_bytes=chance.choice([1_500, 4_000, 10**6]))
        bases.append(base)
    seen: dict[bool, int] = {True: 0, False: 0}
    for number in range(RANDOM_LOGS):
        log = copy_log(chance.choice(bases), tmp_path / f"log-{number}")
        what = tampered(log, chance)

        report, verdict = verify(log, public_key=None), second_verifier.check(log)

        assert verdict.ok == report.ok, (what, report, verdict)
        assert same_place(report.first_bad, verdict.first_bad), (what, report, verdict)
        seen[report.ok] += 1
    assert min(seen.values()) > RANDOM_LOGS // 20


def same_place(one: int | None, other: int | None) -> bool:
    """Groups here have five records at most: the second may name the first record of the group."""
    return one is None or other is None or 0 <= one - other < 5


def test_a_proof_file_is_checked_without_the_log(log: Path, tmp_path: Path) -> None:
    for index in range(8):
        proof = tmp_path / "record.tlog-proof"
        proof.write_text(record_proof(log, index))
        checked = run("--proof", proof, "--key", log / "key.pub")

        assert checked.returncode == 0
        assert f'"number":{index}' in checked.stdout


def test_an_altered_proof_file_is_found_at_every_byte(log: Path) -> None:
    proof = record_proof(log, 5)
    key = second.Key((log / "key.pub").read_text())
    # The bytes of the note's signature, and the rest; a line feed at the end of all is not signed.
    for offset in range(0, len(proof.encode()), 3):
        raw = bytearray(proof.encode())
        raw[offset] ^= 1

        with pytest.raises((second.BadError, ValueError, KeyError, TypeError)):
            second.check_proof(raw.decode(errors="replace"), key)


def test_a_proof_of_a_record_that_is_not_there_or_altered_is_not_given(
    log: Path, tmp_path: Path
) -> None:
    copied = copy_log(log, tmp_path / "log")
    path = segments(copied)[0][1]
    path.write_bytes(path.read_bytes().replace(b'"number":5', b'"number":6'))

    with pytest.raises(TamperedError, match="run the verifier"):
        record_proof(copied, 5)
    with pytest.raises(NotFoundError):
        record_proof(copied, 8)


def test_growth_is_proven_from_a_held_checkpoint_and_not_from_anothers(tmp_path: Path) -> None:
    with open_log(tmp_path / "log") as log:
        log.append(event(0))
        held = log.checkpoint()
        log.append(event(1))
    with open_log(tmp_path / "fork") as fork:
        fork.append(event(7))
        forked = fork.checkpoint()

    assert growth_proof(tmp_path / "log", held).startswith("old 1\n")
    with pytest.raises(TamperedError, match="did not grow"):
        growth_proof(tmp_path / "log", forked)
