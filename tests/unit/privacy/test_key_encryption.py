"""Keys of subjects are wrapped under versions that change, at any moment, without losing one."""

import contextlib
import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ragplatform.errors import PlatformError, TamperedError, VaultError
from ragplatform.ports import WrappedKey
from ragplatform.privacy.key_encryption import KeyFiles, MasterKeyEncryption, new_key_file
from ragplatform.privacy.keys import Keys
from ragplatform.privacy.vault import Vault

MASTER = bytes(range(32))
KEY = bytes(reversed(range(32)))
SUBJECTS = 40
VALUES = [("PERSON", "John Smith {}"), ("US_SSN", "0780511{:02d}")]


class Nothing:
    """Opens no key at all: whoever needs it holds a key that was not rotated."""

    version = "nothing"

    def wrap(self, key: bytes, *, tenant: str, subject: str) -> WrappedKey:
        raise AssertionError("never used to wrap")

    def unwrap(self, wrapped: WrappedKey, *, tenant: str, subject: str) -> bytes:
        raise VaultError("gone")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    new_key_file(tmp_path / "keks", print)
    return tmp_path / "keks"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'vault.db'}"


def files(folder: Path) -> KeyFiles:
    return KeyFiles(folder, older=MasterKeyEncryption(Keys(MASTER)))


def fill(vault: Vault) -> None:
    for n in range(SUBJECTS):
        vault.store("mercy", f"s_{n}", [(entity, form.format(n)) for entity, form in VALUES])


def held(vault: Vault, n: int) -> set[str]:
    tokens = [vault.token("mercy", entity, form.format(n)) for entity, form in VALUES]
    return set(vault.reveal("mercy", tokens).values())


def whole(n: int) -> set[str]:
    return {form.format(n) for _, form in VALUES}


def rows(path: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    connection.execute("pragma synchronous=off")
    try:
        found = connection.execute(statement, values).fetchall()
        connection.commit()
    finally:
        connection.close()
    return found


def killed(after_s: float, *acts: Callable[[], object]) -> None:
    """Run the acts at once, each in a process of its own, and kill them wherever they stand."""
    children = []
    for act in acts:
        child = os.fork()
        if child == 0:
            try:
                act()
            finally:
                os._exit(0)
        children.append(child)
    time.sleep(after_s)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("name", ["1.key", "7.key"])
def test_a_key_is_opened_for_its_subject_and_for_no_other(folder: Path, name: str) -> None:
    (folder / "1.key").rename(folder / name)
    keks = files(folder)
    wrapped = keks.wrap(KEY, tenant="mercy", subject="s_1")
    assert keks.unwrap(wrapped, tenant="mercy", subject="s_1") == KEY
    for tenant, subject in (("mercy", "s_2"), ("harbor", "s_1")):
        with pytest.raises(TamperedError):
            keks.unwrap(wrapped, tenant=tenant, subject=subject)
    for version in ("file-9", "file-", "file-x", "file-²", "other", ""):
        with pytest.raises(VaultError):
            keks.unwrap(WrappedKey(version, wrapped.wrapped), tenant="mercy", subject="s_1")


def test_a_new_file_is_used_by_who_opens_then_and_found_by_who_runs(folder: Path) -> None:
    running = files(folder)
    assert new_key_file(folder, print).name == "2.key"
    fresh = files(folder)
    assert (running.version, fresh.version) == ("file-1", "file-2")
    wrapped = fresh.wrap(KEY, tenant="mercy", subject="s_1")
    assert running.unwrap(wrapped, tenant="mercy", subject="s_1") == KEY
    assert running.version == "file-2"


@pytest.mark.parametrize("text", ["", "zz", "00" * 31, "00" * 33, "geheim"])
def test_a_key_file_that_holds_no_key_is_refused(folder: Path, text: str) -> None:
    (folder / "1.key").write_text(text)
    with pytest.raises(VaultError):
        files(folder)


def test_a_key_file_that_others_can_read_or_no_file_is_refused(folder: Path) -> None:
    (folder / "1.key").chmod(0o640)
    with pytest.raises(VaultError, match="chmod 600"):
        files(folder)
    (folder / "1.key").unlink()
    with pytest.raises(VaultError, match="no key"):
        files(folder)


def test_a_key_file_is_never_replaced(folder: Path) -> None:
    before = (folder / "1.key").read_bytes()
    (folder / "2.part").write_text("left by a crash")
    assert new_key_file(folder, print).name == "2.key"
    assert (folder / "1.key").read_bytes() == before != (folder / "2.key").read_bytes()
    assert not list(folder.glob("*.part"))


def test_a_rotation_moves_every_key_and_leaves_tokens_and_values(url: str, folder: Path) -> None:
    old = Vault(url, master=MASTER)
    fill(old)
    tokens = old.token("mercy", "PERSON", "John Smith 1")
    path = Path(url.removeprefix("sqlite:///"))
    replaced = [bytes(row[0]) for row in rows(path, "select wrapped_key from vault_subjects")]
    vault = Vault(url, master=MASTER, key_encryption=files(folder))
    assert vault.key_versions() == {"master": SUBJECTS}
    assert vault.rotate(batch=7) == SUBJECTS
    assert vault.rotate() == 0
    assert vault.key_versions() == {"file-1": SUBJECTS}
    assert all(held(vault, n) == whole(n) for n in range(SUBJECTS))
    assert vault.token("mercy", "PERSON", "John Smith 1") == tokens
    raw = b"".join(file.read_bytes() for file in path.parent.glob("vault.db*"))
    assert not [key for key in replaced if key in raw]
    with pytest.raises(VaultError):
        held(old, 1)
    alone = Vault(url, master=MASTER, key_encryption=KeyFiles(folder, older=Nothing()))
    assert held(alone, 1) == whole(1)
    for one in (old, vault, alone):
        one.close()


def test_a_vault_made_before_keys_had_versions_is_read_and_rotated(url: str, folder: Path) -> None:
    vault = Vault(url, master=MASTER)
    fill(vault)
    vault.close()
    path = Path(url.removeprefix("sqlite:///"))
    rows(path, "alter table vault_subjects drop column kek")
    rows(path, "drop table vault_version")
    vault = Vault(url, master=MASTER, key_encryption=files(folder))
    assert held(vault, 3) == whole(3)
    assert vault.rotate() == SUBJECTS
    assert held(vault, 3) == whole(3)
    vault.close()


def test_a_rotation_killed_anywhere_loses_no_key_and_goes_on(url: str, folder: Path) -> None:
    vault = Vault(url, master=MASTER)
    fill(vault)
    vault.close()
    chance = random.Random(7)
    for round_ in range(10):
        if round_ % 3 == 2:
            new_key_file(folder, print)

        def rotate() -> None:
            Vault(url, master=MASTER, key_encryption=files(folder)).rotate(batch=1)

        killed(chance.uniform(0, 0.25), rotate)
        vault = Vault(url, master=MASTER, key_encryption=files(folder))
        assert all(held(vault, n) == whole(n) for n in range(SUBJECTS))
        assert sum(vault.key_versions().values()) == SUBJECTS
        vault.close()
    vault = Vault(url, master=MASTER, key_encryption=files(folder))
    vault.rotate()
    assert vault.key_versions() == {files(folder).version: SUBJECTS}
    vault.close()


def test_destruction_and_rotation_killed_anywhere_leave_no_half_of_a_subject(
    url: str, folder: Path
) -> None:
    vault = Vault(url, master=MASTER)
    fill(vault)
    vault.close()
    chance = random.Random(11)

    def rotate() -> None:
        Vault(url, master=MASTER, key_encryption=files(folder)).rotate(batch=1)

    def destroy() -> None:
        one = Vault(url, master=MASTER, key_encryption=files(folder))
        for n in chance.sample(range(SUBJECTS), SUBJECTS):
            one.destroy_subject("mercy", f"s_{n}")

    for _ in range(8):
        killed(chance.uniform(0, 0.15), rotate, destroy)
        vault = Vault(url, master=MASTER, key_encryption=files(folder))
        states = [held(vault, n) for n in range(SUBJECTS)]
        assert all(state in (whole(n), set()) for n, state in enumerate(states))
        left = sum(bool(state) for state in states)
        assert sum(vault.key_versions().values()) == left
        vault.close()
    vault = Vault(url, master=MASTER, key_encryption=files(folder))
    for n in range(SUBJECTS):
        vault.destroy_subject("mercy", f"s_{n}")
    assert vault.rotate() == 0
    assert vault.key_versions() == {}
    vault.close()


COLUMNS = [
    *[("vault_subjects", column) for column in ("tenant", "subject", "wrapped_key", "kek")],
    *[("vault_values", column) for column in ("tenant", "token", "subject", "sealed")],
]


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_no_flipped_bit_in_any_column_gives_a_value(
    url: str, folder: Path, table: str, column: str
) -> None:
    vault = Vault(url, master=MASTER, key_encryption=files(folder))
    (token,) = vault.store("mercy", "s_1", [("US_SSN", "078-05-1120")])
    path = Path(url.removeprefix("sqlite:///"))
    ((good,),) = rows(path, f"select {column} from {table}")
    plain = good if isinstance(good, bytes) else str(good).encode()
    for bit in range(len(plain) * 8):
        bad = bytearray(plain)
        bad[bit // 8] ^= 1 << bit % 8
        kind = "blob" if isinstance(good, bytes) else "text"
        rows(path, f"update {table} set {column}=cast(? as {kind})", bytes(bad))
        with contextlib.suppress(PlatformError):
            assert vault.reveal("mercy", [token]) == {}
        rows(path, f"update {table} set {column}=?", good)
    assert vault.reveal("mercy", [token]) == {token: "078-05-1120"}
    vault.close()
