"""Spellings that mean the same become one; what is different stays different."""

import pytest

from ragplatform.privacy.normalise import normalise, shown


@pytest.mark.parametrize(
    ("entity", "one", "other"),
    [
        ("PERSON", "Smith, John", "Dr. John  SMITH"),
        ("PERSON", "Maria Lopez, M.D.", "maria lopez"),
        ("PERSON", "Mrs. Okafor's", "Okafor"),
        ("PHONE_NUMBER", "(617) 555-0123", "+1 617.555.0123"),
        ("PHONE_NUMBER", "617-555-0123 ext. 12", "617-555-0123"),
        ("US_SSN", "078-05-1120", "078051120"),
        ("CREDIT_CARD", "4111 1111 1111 1111", "4111111111111111"),
        ("EMAIL_ADDRESS", "J.Smith@Mercy.ORG", "j.smith@mercy.org"),
        ("MEDICAL_RECORD_NUMBER", "AB-12 345", "ab12345"),
        ("DATE_OF_BIRTH", "03/04/1985", "March 4, 1985"),
        ("DATE_OF_BIRTH", "4 Mar 1985", "1985-03-04"),
        ("DATE_OF_BIRTH", "4th of March 1985", "04.03.1985"),
        ("DATE_OF_BIRTH", "19850304", "Monday, March 4, 1985"),
        ("DATE_OF_BIRTH", "4. März 1985", "4 de marzo de 1985"),
        ("PERSON", "Ｊｏｈｎ Smith", "John Smith"),
    ],
)
def test_spellings_of_one_value_meet(entity: str, one: str, other: str) -> None:
    assert normalise(entity, one) == normalise(entity, other)


@pytest.mark.parametrize(
    ("entity", "one", "other"),
    [
        ("PERSON", "John Smith", "John Smith Jr"),
        ("PERSON", "John A. Smith", "John B. Smith"),
        ("PHONE_NUMBER", "617-555-0123", "617-555-0124"),
        ("MEDICAL_RECORD_NUMBER", "12345", "012345"),
        ("DATE_OF_BIRTH", "1985-03-04", "1985-04-03"),
        ("DATE_OF_BIRTH", "03/04/25", "03/04/1925"),
        ("PERSON", "M. Smith", "Smith"),
    ],
)
def test_different_values_stay_apart(entity: str, one: str, other: str) -> None:
    assert normalise(entity, one) != normalise(entity, other)


@pytest.mark.parametrize(("entity", "value"), [("US_SSN", "none"), ("PERSON", "Dr."), ("NPI", "-")])
def test_a_value_is_never_normalised_to_nothing(entity: str, value: str) -> None:
    assert normalise(entity, value)


@pytest.mark.parametrize(
    ("value", "reads"),
    [
        ("Whitfield, Eleanor", "Eleanor Whitfield"),
        ("Smith, Jr.", "Smith, Jr."),
        ("Lee, MD", "Lee, MD"),
        ("Eleanor Whitfield", "Eleanor Whitfield"),
        ("Smith, John, Jr", "Smith, John, Jr"),
        ("Smith,", "Smith,"),
    ],
)
def test_a_name_reads_as_people_write_it_and_keeps_its_pseudonym(value, reads):
    assert shown("PERSON", value) == reads
    assert normalise("PERSON", reads) == normalise("PERSON", value)
