"""An auditor with nothing but the zip finds it good, and finds every byte that was changed."""

import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ragplatform.audit.events import Action
from ragplatform.audit.export.package import PackageMaker
from ragplatform.audit.export.selection import Selection
from ragplatform.audit.layout import segments
from ragplatform.audit.note import Signer
from ragplatform.errors import TamperedError
from ragplatform.policy.rules import digest_of
from tests.fakes_audit import event, key_of, open_log, open_logs

TEXTS = {"schema.cedarschema": "entity U;", "a.cedar": "permit(principal, action, resource);"}
POLICY = digest_of(TEXTS)
GONE = "0f" * 32


def signer(origin: str) -> Signer:
    return Signer(origin, key_of("sign", origin))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The logs of two tenants, one long enough for proofs of several steps."""
    made = tmp_path_factory.mktemp("audit")
    with open_logs(made) as logs:
        for number in range(23):
            policy = GONE if number == 7 else POLICY
            logs.append(event(number, policy=policy, sealed={"question": "who?"}))
            logs.append(event(number, tenant="harbor"))
    return made


def make(folder: Path, out: Path, **wanted: Any) -> Path:
    """Make the package of mercy's records, and unzip it."""
    asked: dict[str, Any] = {"tenant": "mercy", "until": datetime.now(UTC) + timedelta(hours=1)}
    maker = PackageMaker(signer=signer, policies=lambda d: TEXTS if d == POLICY else None)
    path = out.with_suffix(".zip")
    with path.open("wb") as file:
        maker.make(
            file, [folder / "api.mercy"], Selection(**(asked | wanted)), signed_by="api.mercy"
        )
    with zipfile.ZipFile(path) as archive:
        archive.extractall(out)
    return out


@pytest.fixture
def package(folder: Path, tmp_path: Path) -> Path:
    return make(folder, tmp_path / "unzipped")


def load(package: Path) -> Any:
    """Return the verifier of the package as a module."""
    spec = importlib.util.spec_from_file_location("verifier", package / "verify_package.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shutil.rmtree(package / "__pycache__", ignore_errors=True)
    return module


def check(package: Path, *arguments: str) -> int:
    return int(load(PRISTINE).main([str(package), *arguments]))


PRISTINE = Path(__file__).parents[4] / "ragplatform" / "audit" / "export"


def test_the_commands_of_the_readme_find_the_package_good(package: Path) -> None:
    [block] = re.findall(r"```sh\n(.*?)```", (package / "README.md").read_text("utf-8"), re.S)

    for command in block.replace("python3", sys.executable).splitlines():
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=package,
            env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, command + ran.stdout + ran.stderr


def test_the_verifier_needs_nothing_but_python_and_cryptography() -> None:
    text = (PRISTINE / "verify_package.py").read_text("utf-8")
    imported = set(re.findall(r"^(?:from|import) (\w+)", text, re.M))

    assert imported - set(sys.stdlib_module_names) == {"cryptography"}
    assert len(text.splitlines()) < 250


def test_a_package_holds_one_tenants_records_and_their_very_lines(
    package: Path, folder: Path
) -> None:
    [(_, segment)] = segments(folder / "api.mercy")
    lines = (package / "logs" / "api.mercy" / "events.ndjson").read_bytes().splitlines()

    assert len(lines) == 23
    assert set(lines) <= set(segment.read_bytes().splitlines())
    every = b"".join(path.read_bytes() for path in package.rglob("*") if path.is_file())
    assert b"harbor" not in every


def test_a_package_holds_the_policies_that_were_in_force(package: Path) -> None:
    kept = package / "policies" / POLICY

    assert {path.name: path.read_text() for path in kept.iterdir()} == TEXTS
    assert f"`{GONE}`: no copy was kept" in (package / "README.md").read_text("utf-8")


def test_a_key_that_the_auditor_holds_is_compared(package: Path, tmp_path: Path) -> None:
    held = tmp_path / "held.pub"
    held.write_text(signer("api.mercy").verifier_key + "\n")
    assert check(package, "--key", str(held)) == 0

    held.write_text(Signer("api.mercy", bytes(32)).verifier_key + "\n")
    assert check(package, "--key", str(held)) == 1


def test_one_changed_byte_in_any_file_is_found(package: Path) -> None:
    main = load(PRISTINE).main
    for path in sorted(path for path in package.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        step = 1 if path.name in {"MANIFEST", "checkpoint"} else max(1, len(whole) // 25)
        for offset in [*range(0, len(whole), step), len(whole) - 1]:
            path.write_bytes(flipped(whole, offset))
            assert main([str(package)]) == 1, f"{path.name} at {offset}"
        path.write_bytes(whole)
    assert main([str(package)]) == 0


def flipped(whole: bytes, offset: int) -> bytes:
    return whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :]


@pytest.mark.parametrize("forged", ["events.ndjson", "proofs.ndjson", "checkpoint"])
def test_who_can_sign_the_manifest_still_cannot_change_a_record(
    package: Path, tmp_path: Path, forged: str
) -> None:
    target = package / "logs" / "api.mercy" / forged
    whole = target.read_bytes()
    for offset in range(5, len(whole), max(1, len(whole) // 7)):
        target.write_bytes(flipped(whole, offset))
        sign_anew(package)
        assert check(package) == 1, offset


def sign_anew(package: Path) -> None:
    import hashlib

    text = (package / "MANIFEST").read_text("utf-8").partition("\n\n")[0] + "\n"
    head = [line for line in text.splitlines() if line[64:66] != "  "]
    files = [path for path in package.rglob("*") if path.is_file() and path.name != "MANIFEST"]
    listed = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(package).as_posix()}"
        for path in sorted(files)
    ]
    note = signer("api.mercy").sign_text("".join(f"{line}\n" for line in head + listed))
    (package / "MANIFEST").write_text(note, "utf-8")


def test_a_record_too_many_or_too_few_is_found_even_when_signed(package: Path) -> None:
    events = package / "logs" / "api.mercy" / "events.ndjson"
    lines = events.read_bytes().splitlines(keepends=True)
    for changed in (lines[1:], [*lines, lines[0]], [lines[1], lines[0], *lines[2:]]):
        events.write_bytes(b"".join(changed))
        sign_anew(package)
        assert check(package) == 1


def test_a_record_given_twice_in_place_of_another_is_found_even_when_signed(package: Path) -> None:
    folder = package / "logs" / "api.mercy"
    for name in ("events.ndjson", "proofs.ndjson"):
        lines = (folder / name).read_bytes().splitlines(keepends=True)
        (folder / name).write_bytes(b"".join([*lines[:3], lines[2], *lines[4:]]))
    sign_anew(package)

    assert check(package) == 1


def test_a_file_too_many_or_too_few_is_found(package: Path) -> None:
    (package / "extra").write_text("x")
    assert check(package) == 1
    (package / "extra").unlink()
    (package / "policies" / POLICY / "a.cedar").unlink()
    assert check(package) == 1


def test_a_folder_that_is_no_package_is_unreadable(tmp_path: Path) -> None:
    assert check(tmp_path) == 2


def test_the_same_records_make_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    make(folder, tmp_path / "a", until=until)
    make(folder, tmp_path / "b", until=until)

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_selection_of_a_request_is_proven_too(folder: Path, tmp_path: Path) -> None:
    package = make(folder, tmp_path / "one", request_id="r-5", actions=frozenset({Action.ASKED}))

    assert len((package / "logs/api.mercy/events.ndjson").read_bytes().splitlines()) == 1
    assert check(package) == 0


def test_a_package_without_records_says_so_and_fits(folder: Path, tmp_path: Path) -> None:
    package = make(folder, tmp_path / "none", request_id="r-none")

    assert not (package / "logs").exists()
    assert check(package) == 0


def test_no_package_is_made_of_a_log_that_was_altered(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "audit")
    [(_, segment)] = segments(tmp_path / "audit" / "api.mercy")
    segment.write_bytes(segment.read_bytes().replace(b"u:anna", b"u:bess", 1))

    with pytest.raises(TamperedError):
        make(tmp_path / "audit", tmp_path / "out")


def test_a_cosigned_checkpoint_is_what_the_proofs_lead_to(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "audit")
    log = tmp_path / "audit" / "api.mercy"
    cosigned = (log / "checkpoint").read_text("utf-8") + "— witness.example AAAAAAAA\n"
    (log / "checkpoint.cosigned").write_text(cosigned, "utf-8")

    package = make(tmp_path / "audit", tmp_path / "out")

    assert (package / "logs/api.mercy/checkpoint").read_text("utf-8") == cosigned
    assert check(package) == 0


@pytest.fixture
def long_log(tmp_path: Path) -> Path:
    """A log of several segments, whose first tile is full."""
    with open_log(tmp_path / "audit" / "api.mercy", **ARCHIVED) as log:
        for number in range(300):
            log.append(event(number))
    return tmp_path / "audit" / "api.mercy"


ARCHIVED: dict[str, Any] = {
    "origin": "api.mercy",
    "signing_key": key_of("sign", "api.mercy"),
    "segment_bytes": 4000,
}


def test_records_that_are_archived_are_named_and_the_others_are_proven(
    long_log: Path, tmp_path: Path
) -> None:
    (first, gone), (second, _), *_ = segments(long_log)
    gone.unlink()

    package = make(long_log.parent, tmp_path / "out")

    assert first == 0
    assert f"`api.mercy`: the first {second} records" in (package / "README.md").read_text("utf-8")
    assert len((package / "logs/api.mercy/events.ndjson").read_bytes().splitlines()) == 300 - second
    assert check(package) == 0


def test_an_archive_gives_the_records_that_were_moved_there(long_log: Path, tmp_path: Path) -> None:
    (_, gone), *_ = segments(long_log)
    (tmp_path / "archive" / "api.mercy").mkdir(parents=True)
    shutil.move(gone, tmp_path / "archive" / "api.mercy")

    package = make(long_log.parent, tmp_path / "out", archive=tmp_path / "archive")

    assert len((package / "logs/api.mercy/events.ndjson").read_bytes().splitlines()) == 300
    assert check(package) == 0


def test_a_segment_missing_in_the_middle_is_no_archive(long_log: Path, tmp_path: Path) -> None:
    _, (_, gone), *_ = segments(long_log)
    gone.unlink()

    with pytest.raises(TamperedError):
        make(long_log.parent, tmp_path / "out")
