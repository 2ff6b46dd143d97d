"""Letters, charts and messages in the languages and ways that people really write."""

import pytest

from ragplatform.adapters.overlaps import resolve
from ragplatform.adapters.rules.tier import RuleTier

TIER = RuleTier()


def found(text: str) -> set[tuple[str, str]]:
    return {(one.entity, text[one.start : one.end]) for one in resolve(text, TIER.find(text))}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "Frau Dr. Anna Müller, Geburtsdatum: 12.03.1975, Steuernummer 12/345/67890",
            {
                ("PERSON", "Anna Müller"),
                ("DATE_OF_BIRTH", "12.03.1975"),
                ("NATIONAL_ID", "12/345/67890"),
            },
        ),
        (
            "Hauptstraße 12, 10115 Berlin",
            {("STREET_ADDRESS", "Hauptstraße 12"), ("ZIP_CODE", "10115"), ("LOCATION", "Berlin")},
        ),
        ("Am Markt 5, 04109 Leipzig", {("STREET_ADDRESS", "Am Markt 5"), ("ZIP_CODE", "04109")}),
        (
            "né le 12 mars 1980, 12 bis rue de la Paix, 75002 Paris, tél. 01 42 68 53 00",
            {
                ("DATE_OF_BIRTH", "12 mars 1980"),
                ("STREET_ADDRESS", "12 bis rue de la Paix"),
                ("ZIP_CODE", "75002"),
                ("PHONE_NUMBER", "01 42 68 53 00"),
            },
        ),
        (
            "Fecha de nacimiento: 03/03/1946. NHC: 368503. NASS: 26 63514095.",
            {
                ("DATE_OF_BIRTH", "03/03/1946"),
                ("MEDICAL_RECORD_NUMBER", "368503"),
                ("NATIONAL_ID", "26 63514095"),
            },
        ),
        ("Calle Mayor, 3, 2 B.", {("STREET_ADDRESS", "Calle Mayor, 3, 2 B")}),
        ("Varón de setenta y dos años", {("AGE", "setenta y dos años")}),
        ("ingresado el 4 de mayo de 2016", {("DATE_TIME", "4 de mayo de 2016")}),
        ("Via Roma 12", {("STREET_ADDRESS", "Via Roma 12")}),
        ("il 3 maggio 2020", {("DATE_TIME", "3 maggio 2020")}),
        ("am 3. Mai 2020", {("DATE_TIME", "3. Mai 2020")}),
        (
            "Flat 4, 12 Baker Street, London NW1 6XE",
            {("STREET_ADDRESS", "Flat 4, 12 Baker Street"), ("ZIP_CODE", "NW1 6XE")},
        ),
        (
            "45 George St, Sydney NSW 2000",
            {("STREET_ADDRESS", "45 George St"), ("ZIP_CODE", "2000")},
        ),
        (
            "Patient: JOHN SMITH  DOB 3/4/85  MRN# A-44-1932 seen 12/3 by Dr. J. O'Brien",
            {
                ("PERSON", "JOHN SMITH"),
                ("DATE_OF_BIRTH", "3/4/85"),
                ("MEDICAL_RECORD_NUMBER", "A-44-1932"),
                ("DATE_TIME", "12/3"),
                ("PERSON", "J. O'Brien"),
            },
        ),
        ("Sincerely,\n\nMaria Lopez\nManager", {("PERSON", "Maria Lopez")}),
        ("/s/ Alex Hui", {("PERSON", "Alex Hui")}),
        ("seen by Karen Weiss, MD, today", {("PERSON", "Karen Weiss")}),
        ("Dear Maya,\nthank you", {("PERSON", "Maya")}),
        (
            "nurse [at] ward [dot] example [dot] com",
            {("EMAIL_ADDRESS", "nurse [at] ward [dot] example [dot] com")},
        ),
        (
            "Username: jdoe. Password = Tr0ub4dor&3.",
            {("USERNAME", "jdoe"), ("SECRET", "Tr0ub4dor&3")},
        ),
        (
            "postgres://app:s3cr3t@db.internal:5432/x",
            {("SECRET", "postgres://app:s3cr3t@db.internal:5432/x")},
        ),
        ("My PIN is 4821 and CVV: 321", {("SECRET", "4821"), ("CREDIT_CARD", "321")}),
        ("an application (no. 18403/91) against", {("UNIQUE_CODE", "18403/91")}),
        ("order KX-2231-99 came", {("UNIQUE_CODE", "KX-2231-99")}),
        ("at 51.5074, -0.1278 today", {("LOCATION", "51.5074, -0.1278")}),
        (
            "IPv6 2001:db8:85a3::8a2e:370:7334 and 3c:5a:b4:01:22:9f",
            {("IP_ADDRESS", "2001:db8:85a3::8a2e:370:7334"), ("MAC_ADDRESS", "3c:5a:b4:01:22:9f")},
        ),
        ("Policy number HO-998-12345", {("POLICY_NUMBER", "HO-998-12345")}),
        ("masked 5412-****-****-1234", {("CREDIT_CARD", "5412-****-****-1234")}),
    ],
)
def test_what_is_written_is_found(text: str, wanted: set[tuple[str, str]]) -> None:
    assert wanted <= found(text)


@pytest.mark.parametrize(
    "text",
    [
        "Sales rose during 2023 and spring 12 was warm.",
        "Accounting Standards Update (“ASU”) No. 2016-13 applies to Note 4.",
        "The 10-K and Form S-3 (File No. 333-147715) were filed.",
        "fumador desde hace 30 años, tras 4 años de evolución",
        "Tumor T3N0M0, blood pressure 120/80, ratio 1/2048, size 14X10X10.",
        "asyncio.run(main) sets color.red and label.new",
        "Named Executive Officers were paid. Our carbon footprint fell.",
        "The swift translation was sold via online shopping carts, 2 of them.",
        "Password is required. Change your password every month.",
    ],
)
def test_what_only_looks_like_it_is_left(text: str) -> None:
    kinds = {entity for entity, _ in found(text)}
    assert kinds <= {"DATE_TIME"}
