"""Each rule finds its value and nothing beside it."""

import pytest

from ragplatform.adapters.overlaps import resolve
from ragplatform.adapters.rules.tier import RuleTier

TIER = RuleTier()


def found(text: str) -> set[tuple[str, str]]:
    return {(one.entity, text[one.start : one.end]) for one in resolve(text, TIER.find(text))}


@pytest.mark.parametrize(
    ("text", "entity", "value"),
    [
        ("MRN: 00123456", "MEDICAL_RECORD_NUMBER", "00123456"),
        ("MRN 4471-22", "MEDICAL_RECORD_NUMBER", "4471-22"),
        ("Medical Record Number is A0012345.", "MEDICAL_RECORD_NUMBER", "A0012345"),
        ("Patient ID\t778812", "MEDICAL_RECORD_NUMBER", "778812"),
        ("MRN |\n 5512345", "MEDICAL_RECORD_NUMBER", "5512345"),
        ("NPI 1234567893", "NPI", "1234567893"),
        ("NPI# 1234 567 893", "NPI", "1234 567 893"),
        ("NPI 1234567890", "UNIQUE_CODE", "1234567890"),
        ("routing number 021000021", "ABA_ROUTING_NUMBER", "021000021"),
        ("ABA: 0210-0002-1", "ABA_ROUTING_NUMBER", "0210-0002-1"),
        ("routing no. 021000022", "UNIQUE_CODE", "021000022"),
        ("Account number: 000123456789", "ACCOUNT_NUMBER", "000123456789"),
        ("acct # XXXX-XXXX-1234", "ACCOUNT_NUMBER", "XXXX-XXXX-1234"),
        ("your account ending in 4432", "ACCOUNT_NUMBER", "4432"),
        ("loan no. LN-2020-00123", "POLICY_NUMBER", "LN-2020-00123"),
        ("Member ID: XYZ123456789", "HEALTH_PLAN_ID", "XYZ123456789"),
        ("seen under 1EG4-TE5-MK73 today", "HEALTH_PLAN_ID", "1EG4-TE5-MK73"),
        ("DOB: 03/04/1985", "DATE_OF_BIRTH", "03/04/1985"),
        ("born on March 4, 1985", "DATE_OF_BIRTH", "March 4, 1985"),
        ("Date of birth 4 Mar 1985", "DATE_OF_BIRTH", "4 Mar 1985"),
        ("A. Mehrotra covering for O. Castellane", "PERSON", "O. Castellane"),
        ("Discussed with J. Lopez-Reyes at noon", "PERSON", "J. Lopez-Reyes"),
        ("date of birth on the form is May 4, 1985", "DATE_OF_BIRTH", "May 4, 1985"),
        ("a 92-year-old woman", "AGE_OVER_89", "92"),
        ("aged 101", "AGE_OVER_89", "101"),
        ("90 y/o male", "AGE_OVER_89", "90"),
        ("ninety-three years old", "AGE_OVER_89", "ninety-three"),
        ("at 123 Main Street, Apt 4B.", "STREET_ADDRESS", "123 Main Street, Apt 4B"),
        ("4500 N. Lake Shore Dr", "STREET_ADDRESS", "4500 N. Lake Shore Dr"),
        ("PO Box 1123", "STREET_ADDRESS", "PO Box 1123"),
        ("Springfield, IL 62704", "ZIP_CODE", "62704"),
        ("ZIP code: 02139-4307", "ZIP_CODE", "02139-4307"),
        ("London SW1A 1AA", "ZIP_CODE", "SW1A 1AA"),
        ("Fax: (617) 555-0199", "FAX_NUMBER", "(617) 555-0199"),
        ("Facsimile no. 617.555.0199", "FAX_NUMBER", "617.555.0199"),
        ("reach me at (617) 555-0123 or", "PHONE_NUMBER", "(617) 555-0123"),
        ("drives 1HGCM82633A004352 now", "VEHICLE_ID", "1HGCM82633A004352"),
        ("VIN 1HGCM82633A004353", "UNIQUE_CODE", "1HGCM82633A004353"),
        ("license plate 7ABC123", "LICENSE_PLATE", "7ABC123"),
        ("registration plate AB12 CDE", "LICENSE_PLATE", "AB12 CDE"),
        (
            "(01)00844588003288(17)141120(10)7654321D",
            "DEVICE_ID",
            "(01)00844588003288(17)141120(10)7654321D",
        ),
        ("pacemaker serial no. PM-88213", "DEVICE_ID", "PM-88213"),
        ("IMEI 490154203237518", "DEVICE_ID", "490154203237518"),
        ("fingerprint template: A8F2CC01", "BIOMETRIC_ID", "fingerprint template: A8F2CC01"),
        ("a retinal scan was taken", "BIOMETRIC_ID", "retinal scan"),
        ("see patient_face_03.jpg", "PHOTO_REFERENCE", "patient_face_03.jpg"),
        ("a full-face photograph of him", "PHOTO_REFERENCE", "full-face photograph"),
        ("Case number 2021-CV-0042", "UNIQUE_CODE", "2021-CV-0042"),
        (
            "123e4567-e89b-12d3-a456-426614174000",
            "UNIQUE_CODE",
            "123e4567-e89b-12d3-a456-426614174000",
        ),
        ("card 4111 1111 1111 1111", "CREDIT_CARD", "4111 1111 1111 1111"),
        ("SSN: 078 05 1120", "US_SSN", "078 05 1120"),
        ("is 219-09-9998 his", "US_SSN", "219-09-9998"),
        ("passport no. C01234567", "US_PASSPORT", "C01234567"),
        ("driver's license number D123-4567-8901", "US_DRIVER_LICENSE", "D123-4567-8901"),
        ("medical license no. MD-554433", "MEDICAL_LICENSE", "MD-554433"),
        ("EIN 12-3456789", "US_EIN", "12-3456789"),
        ("wallet 0x" + "ab12" * 10, "CRYPTO", "0x" + "ab12" * 10),
        ("Dr. Angela Okafor came", "PERSON", "Angela Okafor"),
        ("Patient: Smith, John", "PERSON", "Smith, John"),
        ("Patient Name: Maria O'Neil-Lopez", "PERSON", "Maria O'Neil-Lopez"),
        ("on 12 March 2021", "DATE_TIME", "12 March 2021"),
        ("Mar 3rd, 2021", "DATE_TIME", "Mar 3rd, 2021"),
        ("password: hunter2!x", "SECRET", "hunter2!x"),
        ("AKIAIOSFODNN7EXAMPLE", "SECRET", "AKIAIOSFODNN7EXAMPLE"),
        ("api_key = sk9f8d7a6b5c4e3", "SECRET", "sk9f8d7a6b5c4e3"),
        ("ghp_" + "a1B2" * 9, "SECRET", "ghp_" + "a1B2" * 9),
    ],
)
def test_a_value_is_found_whole(text: str, entity: str, value: str) -> None:
    assert (entity, value) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "Take 500 mg twice daily for two weeks; blood pressure 120/80, heart rate 92.",
        "The NPI registry and the MRN policy are described in section 4.",
        "Revenue grew 9.5% to $1,234,567,890 in fiscal 2021 and 2022.",
        "Routing of calls and account opening take 3 days.",
        "A 10 year history of pain; 9 of 10 patients; for 3 years.",
        "Change your password every month. The password policy is strict.",
        "Order the labs; the study was negative; in case of fever call the clinic.",
        "May improve. March on. He may take 10 tablets.",
    ],
)
def test_ordinary_prose_holds_no_form(text: str) -> None:
    assert found(text) == set()


def test_a_private_key_is_covered_to_its_end_or_to_the_texts() -> None:
    body = "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"] * 20)
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"
    assert ("SECRET", key) in found(f"here: {key}\nthanks, and more.")
    cut = f"-----BEGIN PRIVATE KEY-----\n{body}"
    assert ("SECRET", cut) in found(cut)
    assert ("SECRET", body) in found(f"\n{body}\nmore text")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Your access code is 413685.", True),
        ("The conference call access code is 4136853.", False),
        ("A replay: 1-412-317-0088. The replay access code is 7300752.", False),
    ],
)
def test_the_code_of_a_public_call_keeps_no_report_out(text: str, secret: bool) -> None:
    assert any(span.entity == "SECRET" for span in RuleTier().find(text)) is secret
