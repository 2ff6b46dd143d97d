"""A certificate of erasure holds offline, and only as it was written."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ingest.certificate import check_certificate
from ragplatform import openers
from ragplatform.audit import verify_audit
from ragplatform.audit.events import Action
from ragplatform.errors import InvalidRequestError, TamperedError, UnavailableError
from tests.fakes import Bench
from tests.office import Office


@pytest.fixture
def office(bench: Callable[..., Bench]) -> Iterator[Office]:
    with ExitStack() as undo:
        yield Office(bench(), undo)


def test_it_names_what_went_and_holds_without_the_deployment(office: Office) -> None:
    erased = office.erase()

    text = office.certifier.certify(erased)

    key = openers.log_signer(office.bench.settings, "api.mercy").verifier_key
    found = check_certificate(text, key=key)
    assert found.said["documents"] == erased.documents
    assert found.said["left"] == {"index": 0, "catalog": 0, "ledger": 0, "vault": 0}
    assert found.records == 2
    assert "mrn:1" not in text
    assert "Lopez" not in text
    [kept] = (office.bench.settings.data_dir / "certificates").iterdir()
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (text, 0o600)


def test_every_proof_in_it_is_one_that_the_stand_alone_verifier_takes(
    office: Office, tmp_path: Path
) -> None:
    proofs = json.loads(office.certifier.certify(office.erase()))["proofs"]

    for number, proof in enumerate(proofs.values()):
        file = tmp_path / f"{number}.tlog-proof"
        file.write_text(proof)
        script = [sys.executable, verify_audit.__file__, "--proof", file]
        done = subprocess.run(script, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout[:5]) == (0, "good:")


@pytest.mark.parametrize(
    "forge",
    [
        lambda whole: whole["certificate"].replace('"vault":0', '"vault":1'),
        lambda whole: whole["certificate"].replace("erasure-mercy", "erasure-other"),
        lambda whole: whole["certificate"].replace("— api.mercy ", "— api.mercy A"),
    ],
)
def test_a_changed_certificate_does_not_hold(
    office: Office, forge: Callable[[dict[str, str]], str]
) -> None:
    whole = json.loads(office.certifier.certify(office.erase()))
    whole["certificate"] = forge(whole)

    with pytest.raises(TamperedError):
        check_certificate(json.dumps(whole))


def test_a_certificate_without_one_of_its_proofs_does_not_hold(office: Office) -> None:
    whole = json.loads(office.certifier.certify(office.erase()))
    del whole["proofs"][json.loads(whole["certificate"].split("\n")[1])["records"][0]]

    with pytest.raises(TamperedError):
        check_certificate(json.dumps(whole))
    with pytest.raises(InvalidRequestError):
        check_certificate("{}")


def test_another_key_than_the_one_that_was_given_is_refused(office: Office) -> None:
    text = office.certifier.certify(office.erase())
    other = openers.log_signer(office.bench.settings, "api.harbor").verifier_key
    forged = other.replace("api.harbor", "api.mercy")

    with pytest.raises(TamperedError):
        check_certificate(text, key=forged)


def test_what_an_erasure_before_took_that_was_killed_is_certified_too(office: Office) -> None:
    first = office.erase()

    second = office.erase()

    said = check_certificate(office.certifier.certify(second)).said
    assert set(first.records) | set(second.records) != set(second.records)
    assert len(said["records"]) == 3  # type: ignore[arg-type]


def test_nothing_is_certified_while_something_is_left(office: Office) -> None:
    erased = office.erase()
    office.note()

    with pytest.raises(UnavailableError, match="1 in catalog"):
        office.certifier.certify(erased)

    assert office.bench.records(action=Action.ERASURE_CERTIFIED) == []
