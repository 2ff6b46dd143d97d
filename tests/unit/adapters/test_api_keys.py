"""Keys end, are rotated and revoked, and a file that says nonsense lets nobody in."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragplatform.adapters import api_keys
from ragplatform.adapters.api_keys import ApiKeyAuthenticator, KeyEntry, UserEntry
from ragplatform.adapters.key_file import KeyFile
from ragplatform.errors import ConfigurationError, UnauthenticatedError
from ragplatform.model import Principal, Purpose, Sensitivity
from tests.fakes_identity import NOW, Clock

JOB = Principal(
    "job",
    "mercy",
    frozenset({"physician"}),
    frozenset({"cardiology"}),
    Sensitivity.CONFIDENTIAL,
    frozenset({"s_1"}),
    "Nightly job",
    frozenset({Purpose.TREAT}),
)
DAY = 86_400


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def file(tmp_path, clock):
    return KeyFile(tmp_path / "api-keys.toml", tmp_path / "users.toml", clock=clock)


@pytest.fixture
def keys(tmp_path, file, clock):
    file.begin()
    return ApiKeyAuthenticator(tmp_path / "api-keys.toml", clock=clock)


def refused(keys, token):
    with pytest.raises(UnauthenticatedError) as caught:
        keys.authenticate(token)
    return caught.value.reason


def test_a_new_file_of_keys_lets_nobody_in(keys):
    assert refused(keys, api_keys.new_key("job")) == "unknown_key"


def test_a_name_that_the_file_could_not_be_read_with_again_is_refused(file, keys):
    key = file.add(JOB, days=None, acts_for="")

    with pytest.raises(ConfigurationError):
        file.add(replace(JOB, id="job\x7f"), days=None, acts_for="")

    assert keys.authenticate(key) == JOB


def test_a_change_is_on_the_disk_with_its_folder_when_it_is_said(file, tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def watched(handle):
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    file.add(JOB, days=None, acts_for="")

    assert synced[-1] == str(tmp_path)


def test_to_begin_again_takes_no_key_away(file, keys):
    key = file.add(JOB, days=None, acts_for="")

    file.begin()

    assert keys.authenticate(key) == JOB


def test_all_that_is_known_of_a_key_is_read_back_as_it_was_written(file, keys):
    key = file.add(JOB, days=30, acts_for="")

    assert keys.authenticate(key) == JOB
    [entry] = file.entries()
    assert entry.expires == datetime.fromtimestamp(NOW, UTC) + timedelta(days=30)
    assert key not in entry.sha256


def test_a_key_ends_on_its_day(file, keys, clock):
    key = file.add(JOB, days=30, acts_for="")

    clock.now = NOW + 30 * DAY - 1
    assert keys.authenticate(key)
    clock.now = NOW + 30 * DAY
    assert refused(keys, key) == "expired"


def test_a_key_without_an_end_goes_on(file, keys, clock):
    key = file.add(JOB, days=None, acts_for="")
    clock.now = NOW + 10_000 * DAY

    assert keys.authenticate(key)


def test_a_rotated_key_works_beside_its_successor_for_the_overlap(file, keys, clock):
    old = file.add(JOB, days=None, acts_for="")

    new = file.rotate(JOB, overlap=timedelta(hours=2), days=None)

    assert keys.authenticate(old) == keys.authenticate(new) == JOB
    clock.now = NOW + 2 * 3600
    assert refused(keys, old) == "expired"
    assert keys.authenticate(new) == JOB


def test_a_rotation_without_overlap_ends_the_old_key_at_once(file, keys):
    old = file.add(JOB, days=None, acts_for="")

    file.rotate(JOB, overlap=timedelta(), days=None)

    assert refused(keys, old) == "unknown_key"
    assert len(file.entries()) == 1


def test_an_overlap_never_lengthens_the_life_of_a_key(file, keys, clock):
    old = file.add(JOB, days=1, acts_for="")

    new = file.rotate(JOB, overlap=timedelta(days=30), days=90)

    clock.now = NOW + DAY
    assert refused(keys, old) == "expired"
    clock.now = NOW + 90 * DAY - 1
    assert keys.authenticate(new)


def test_rotated_twice_only_the_last_two_keys_are_in_force(file, keys, clock):
    first = file.add(JOB, days=None, acts_for="")
    second = file.rotate(JOB, overlap=timedelta(hours=1), days=None)
    clock.now += 7200

    third = file.rotate(JOB, overlap=timedelta(hours=1), days=None)

    assert refused(keys, first) == "unknown_key"
    assert keys.authenticate(second) == keys.authenticate(third) == JOB


def test_a_client_stays_a_client_when_its_key_is_rotated(file, keys):
    file.add(JOB, days=None, acts_for="openwebui")

    new = file.rotate(JOB, overlap=timedelta(hours=1), days=None)

    assert refused(keys, new) == "client_without_user"


def test_a_key_that_ended_cannot_be_rotated_back_to_life(file, clock):
    file.add(JOB, days=1, acts_for="")
    clock.now += 2 * DAY

    with pytest.raises(ConfigurationError, match="no key in force"):
        file.rotate(JOB, overlap=timedelta(hours=1), days=30)


def test_a_revoked_key_is_refused_at_once_and_others_are_not(file, keys):
    other = replace(JOB, tenant="harbor")
    key, kept = (file.add(who, days=None, acts_for="") for who in (JOB, other))
    file.rotate(JOB, overlap=timedelta(hours=1), days=None)
    file.list_user(UserEntry("openwebui", "1", JOB))

    assert file.revoke(JOB) == 3

    assert refused(keys, key) == "unknown_key"
    assert keys.authenticate(kept) == other
    assert file.users() == []


def test_an_id_in_two_tenants_must_be_told_apart(file):
    other = replace(JOB, tenant="harbor")
    for who in (JOB, other):
        file.add(who, days=None, acts_for="")

    assert file.find("job", "harbor") == other
    for name, tenant in (("job", ""), ("job", "elsewhere"), ("nobody", "")):
        with pytest.raises(ConfigurationError, match="tenants"):
            file.find(name, tenant)


def test_a_listed_user_is_replaced_by_the_same_clients_user_of_that_id(file):
    file.list_user(UserEntry("openwebui", "1", JOB))
    file.list_user(UserEntry("openwebui", "1", replace(JOB, id="new")))
    file.list_user(UserEntry("other", "1", JOB))

    assert [(entry.client, entry.principal.id) for entry in file.users()] == [
        ("openwebui", "new"),
        ("other", "job"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        'expires = "2027-01-01"',
        'expires = "soon"',
        "expires = 2027-01-01",
        "expires = 2027-01-01T00:00:00",
        "expires = 1798761600",
        "expires = 2027-13-01T00:00:00Z",
        'purposes = ["BECAUSE"]',
        'purposes = "TREAT"',
        'clearance = "cosmic"',
        'acts_for = "../../etc"',
        'acts_for = "A B"',
        "acts_for = true",
        'roles = "physician"',
        "name = 7",
        'scope = "all"',
        'sub = "x"',
    ],
)
def test_a_file_with_a_wrong_field_lets_nobody_in(tmp_path, file, keys, line):
    key = file.add(replace(JOB, purposes=None), days=None, acts_for="")
    path = tmp_path / "api-keys.toml"
    # Its own lines of that name make way.
    name = line.partition(" ")[0]
    kept = [one for one in path.read_text().splitlines() if not one.startswith(f"{name} ")]
    path.write_text("\n".join([*kept, line]))

    for _ in range(2):
        with pytest.raises(ConfigurationError):
            keys.authenticate(key)


def test_no_purposes_listed_means_those_of_policy_and_an_empty_list_means_none(file, keys):
    free = file.add(replace(JOB, purposes=None), days=None, acts_for="")
    assert keys.authenticate(free).purposes is None

    bound = file.add(replace(JOB, purposes=frozenset()), days=None, acts_for="")
    assert keys.authenticate(bound).purposes == frozenset()


def test_a_vanished_file_leaves_no_key_alive(tmp_path, file, keys):
    key = file.add(JOB, days=None, acts_for="")
    (tmp_path / "api-keys.toml").unlink()

    with pytest.raises(ConfigurationError):
        keys.authenticate(key)


def test_a_file_that_others_may_write_lets_nobody_in(tmp_path, file, keys):
    key = file.add(JOB, days=None, acts_for="")
    (tmp_path / "api-keys.toml").chmod(0o620)

    with pytest.raises(ConfigurationError, match="others may write"):
        ApiKeyAuthenticator(tmp_path / "api-keys.toml", clock=Clock()).authenticate(key)


def test_the_files_are_open_to_this_user_alone(tmp_path, file):
    file.add(JOB, days=None, acts_for="")
    file.list_user(UserEntry("openwebui", "1", JOB))

    for name in ("api-keys.toml", "users.toml"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_a_name_that_would_break_the_file_is_not_written(file):
    kept = file.add(JOB, days=None, acts_for="")

    for bad in ('x"\n[[key]]', "x\ny", "back\\slash"):
        with pytest.raises(ConfigurationError):
            file.add(replace(JOB, name=bad), days=None, acts_for="")

    assert [entry.sha256 for entry in file.entries()] == [api_keys.digest(kept)]
    assert isinstance(file.entries()[0], KeyEntry)
