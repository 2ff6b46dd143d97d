"""The rules of personal data are read whole or refused, and the most particular line decides."""

from pathlib import Path

import pytest

from ragplatform.entities import CATEGORY_OF
from ragplatform.errors import PolicyError
from ragplatform.model import Mode, Span
from ragplatform.privacy.rules import PrivacyRules

SHIPPED = Path(__file__).resolve().parents[3] / "policies" / "privacy.toml"


def load(tmp_path: Path, text: str) -> PrivacyRules:
    path = tmp_path / "privacy.toml"
    path.write_text(text, encoding="utf-8")
    return PrivacyRules.load(path)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('min_score = 0.4\n[types]\nPERSON = "tag"', "default"),
        ('default = "keep"', "default"),
        ('default = "mask"\n[categories]\nPHI = "keep"', "categories.PHI"),
        ('default = "mask"\n[types]\nPERSON = "keep"', "types.PERSON"),
        ('default = "mask"\nthreshold = 1', "threshold"),
        ('default = "mask"\n[types]\nPRESON = "tag"', "types.PRESON"),
        ('default = "mask"\n[types]\nPERSON = "Mask"', "types.PERSON"),
        ('default = "mask"\n[types]\nPERSON = 3', "types.PERSON"),
        ('default = "mask"\n[categories]\nPIE = "tag"', "categories"),
        ('default = "mask"\n[thresholds]\nPERSON = 1.5', "thresholds.PERSON"),
        ('default = "mask"\nmin_score = true', "min_score"),
        ('default = "mask"\ntypes = "tag"', "types"),
        ('default = "mask"\n[collections.clinical.type]\nPERSON = "tag"', "clinical.type"),
        ('default = "mask"\n[collections.clinical.types]\nX = "tag"', "clinical.types.X"),
        ('default = "mask"\n[collections]\nclinical = 1', "collections.clinical"),
        ('default = "shift"', "default"),
        ('default = "mask"\n[categories]\nPII = "generalise"', "categories.PII"),
        ('default = "mask"\n[types]\nPERSON = "shift"', "types.PERSON"),
        ('default = "mask"\n[types]\nUS_SSN = "generalise"', "types.US_SSN"),
        ('default = "mask"\n[collections.a.types]\nZIP_CODE = "shift"', "a.types.ZIP_CODE"),
        ('default = "mask"\n[collections.a.thresholds]\nPRESON = 1', "a.thresholds.PRESON"),
        ('default = "mask"\n[collections.a.thresholds]\nPERSON = 2', "a.thresholds.PERSON"),
    ],
)
def test_what_is_unknown_is_refused_by_file_and_key(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load(tmp_path, text)
    assert key in str(refused.value)
    assert "privacy.toml" in str(refused.value)


@pytest.mark.parametrize("text", ["default = ", "default = 'mask'\ndefault = 'tag'"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(PolicyError, match="TOML"):
        load(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        PrivacyRules.load(tmp_path / "absent.toml")


def test_the_most_particular_line_decides(tmp_path: Path) -> None:
    rules = load(
        tmp_path,
        """
        default = "quarantine"
        [types]
        PERSON = "mask"
        [categories]
        PII = "drop"
        [collections.a.types]
        PERSON = "tag"
        [collections.b.categories]
        PII = "pseudonymise"
        """,
    )
    assert rules.mode("PERSON", "a") is Mode.TAG
    assert rules.mode("PERSON", "b") is Mode.PSEUDONYMISE
    assert rules.mode("PERSON", "c") is Mode.MASK
    assert rules.mode("PERSON", None) is Mode.MASK
    assert rules.mode("US_SSN", "a") is Mode.DROP
    assert rules.mode("CREDIT_CARD", "a") is Mode.QUARANTINE


def test_comments_do_not_change_the_digest_and_rules_do(tmp_path: Path) -> None:
    plain = load(tmp_path, 'default = "mask"')
    noted = load(tmp_path, '# why\ndefault = "mask"')
    other = load(tmp_path, 'default = "tag"')
    assert plain.digest == noted.digest != other.digest


def test_a_span_counts_from_its_own_threshold_on(tmp_path: Path) -> None:
    rules = load(tmp_path, 'default = "mask"\nmin_score = 0.4\n[thresholds]\nPERSON = 0.9')
    name = Span(0, 1, "PERSON", CATEGORY_OF["PERSON"], 0.85, "x")
    number = Span(0, 1, "US_SSN", CATEGORY_OF["US_SSN"], 0.4, "x")
    assert not rules.counts(name)
    assert rules.counts(number)


def test_a_collection_may_have_thresholds_of_its_own(tmp_path: Path) -> None:
    rules = load(
        tmp_path,
        """
        default = "mask"
        min_score = 0.4
        [thresholds]
        PERSON = 0.9
        [collections.a.thresholds]
        PERSON = 0.3
        """,
    )
    name = Span(0, 1, "PERSON", CATEGORY_OF["PERSON"], 0.5, "x")
    code = Span(0, 1, "US_SSN", CATEGORY_OF["US_SSN"], 0.35, "x")
    assert rules.counts(name, "a")
    assert not rules.counts(name, "b")
    assert not rules.counts(name)
    assert not rules.counts(code, "a")


def test_the_shipped_rules_use_every_mode_and_keep_no_direct_identifier() -> None:
    rules = PrivacyRules.load(SHIPPED)
    modes = {entity: rules.mode(entity, None) for entity in CATEGORY_OF}
    research = {rules.mode(entity, "research") for entity in CATEGORY_OF}
    assert set(modes.values()) | research == set(Mode)
    kept = {entity for entity, mode in modes.items() if mode is Mode.TAG}
    assert kept == {"DATE_TIME", "LOCATION", "NRP", "URL"}
    left = {entity for entity, mode in modes.items() if mode is Mode.KEEP}
    facts = {"ORGANIZATION", "OCCUPATION", "AGE", "TIME_REFERENCE", "QUASI_IDENTIFIER"}
    assert left == facts | {"SECURITY_ID", "LEI"}
    assert modes["SECRET"] is Mode.QUARANTINE
    assert modes["CREDIT_CARD"] is Mode.MASK
