"""Every set of policies that was in force can be shown years later, or nothing is decided."""

from pathlib import Path

import pytest

from ragplatform.errors import PolicyError
from ragplatform.policy.engine import Policies
from ragplatform.policy.kept import KeptPolicies
from ragplatform.policy.rules import digest_of

TEXTS = {"schema.cedarschema": "entity U;", "b.cedar": "permit(principal, action, resource);"}
DIGEST = digest_of(TEXTS)


def test_what_was_kept_is_found_by_its_digest(tmp_path: Path) -> None:
    kept = KeptPolicies(tmp_path / "policies")
    kept.keep(TEXTS)
    kept.keep(TEXTS)

    assert kept.texts(DIGEST) == TEXTS
    assert [path.name for path in (tmp_path / "policies").iterdir()] == [DIGEST]


def test_the_digest_of_a_copy_is_that_of_the_policies_in_force(tmp_path: Path) -> None:
    policies = Policies.load(Path("policies"))
    kept = KeptPolicies(tmp_path)
    kept.keep(policies.texts)

    assert kept.texts(policies.digest) == dict(policies.texts)


def test_an_altered_copy_is_not_shown_and_not_written_over(tmp_path: Path) -> None:
    kept = KeptPolicies(tmp_path)
    kept.keep(TEXTS)
    (tmp_path / DIGEST / "b.cedar").write_text("forbid(principal, action, resource);")

    assert kept.texts(DIGEST) is None
    with pytest.raises(PolicyError):
        kept.keep(TEXTS)
    assert (tmp_path / DIGEST / "b.cedar").read_text().startswith("forbid")


def test_policies_that_cannot_be_kept_are_not_decided_by(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(PolicyError):
        KeptPolicies(tmp_path / "file" / "policies").keep(TEXTS)


@pytest.mark.parametrize("digest", ["", "../../etc", "." * 64, "0" * 64])
def test_a_name_that_is_no_digest_finds_nothing(tmp_path: Path, digest: str) -> None:
    assert KeptPolicies(tmp_path).texts(digest) is None
