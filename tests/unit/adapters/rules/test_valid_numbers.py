"""Every valid number of a kind with check digits is found, however it is written down."""

import random

import pytest

from ragplatform.adapters.rules.tier import RuleTier

TIER = RuleTier()

# A word that says what it is, then how the number stands: twenty ways in which people write one.
FRAMES = [
    "{label}: {value}",
    "{label} {value}",
    "{label}\t{value}",
    "| {label} | {value} |",
    "{label} no. {value}",
    "{label} number is {value}.",
    "{label}={value}",
    "{label} - {value}",
    "{label} #{value}",
    "({label}: {value})",
    "The {label} ({value}) is on file.",
    "{label}:\n{value}\n",
    "{label}:\xa0{value}",
    '{{"{label}": "{value}"}}',
    "<td>{label}</td><td>{value}</td>",
    "{label},{value}",
    "{label}: '{value}'",
    "{label}: [{value}]",
    "Please check the {label} of the person, which reads {value}, today.",
    "{label}: {value}; all else is well.",
]

# Kind, entity, label, and how the same valid number is written: plain, parted, in small letters.
VALUES = {
    "card visa": (
        "CREDIT_CARD",
        "Card",
        "4111111111111111|4111 1111 1111 1111|4111-1111-1111-1111",
    ),
    "card amex": ("CREDIT_CARD", "Card", "378282246310005|3782 822463 10005|3782-822463-10005"),
    "card mastercard": ("CREDIT_CARD", "Card", "5555555555554444|5555 5555 5555 4444"),
    "card mastercard 2": ("CREDIT_CARD", "Card", "2223003122003222|2223 0031 2200 3222"),
    "card discover": ("CREDIT_CARD", "Card", "6011111111111117|6011-1111-1111-1117"),
    "card diners": ("CREDIT_CARD", "Card", "30569309025904|3056 930902 5904"),
    "card jcb": ("CREDIT_CARD", "Card", "3530111333300000|3530 1113 3330 0000"),
    "iban gb": (
        "IBAN_CODE",
        "IBAN",
        "GB82WEST12345698765432|GB82 WEST 1234 5698 7654 32|gb82west12345698765432",
    ),
    "iban de": (
        "IBAN_CODE",
        "IBAN",
        "DE89370400440532013000|DE89 3704 0044 0532 0130 00|de89 3704 0044 0532 0130 00",
    ),
    "iban fr": (
        "IBAN_CODE",
        "IBAN",
        "FR1420041010050500013M02606|FR14 2004 1010 0505 0001 3M02 606",
    ),
    "iban es": ("IBAN_CODE", "IBAN", "ES9121000418450200051332|ES91 2100 0418 4502 0005 1332"),
    "iban it": (
        "IBAN_CODE",
        "IBAN",
        "IT60X0542811101000000123456|IT60 X054 2811 1010 0000 0123 456",
    ),
    "iban no": ("IBAN_CODE", "IBAN", "NO9386011117947|NO93 8601 1117 947"),
    "aba": ("ABA_ROUTING_NUMBER", "ABA routing", "021000021|0210-0002-1|011401533"),
    "npi": ("NPI", "NPI", "1234567893|1245319599|123-456-7893"),
    "dea": ("MEDICAL_LICENSE", "DEA", "AB1234563|ab1234563|BF5896139"),
    "vin": ("VEHICLE_ID", "VIN", "1HGCM82633A004352|1M8GDM9AXKP042788|1hgcm82633a004352"),
    "imei": ("DEVICE_ID", "IMEI", "490154203237518|49-015420-323751-8|35-209900-176148-1"),
    "isin": ("SECURITY_ID", "ISIN", "US0378331005|GB0002634946|us0378331005"),
    "cusip": ("SECURITY_ID", "CUSIP", "037833100|17275R102|38259P508"),
    "sedol": ("SECURITY_ID", "SEDOL", "0263494|B0WNLY7|b0wnly7"),
    "lei": ("LEI", "LEI", "5493001KJTIIGC8Y1R12|HWUPKR0MPOU8FGXBT394|5493001kjtiigc8y1r12"),
    "itin": ("US_ITIN", "ITIN", "912-70-1234|912701234|912 70 1234"),
    "ssn": ("US_SSN", "SSN", "078-05-1120|078051120|078 05 1120"),
    "ein": ("US_EIN", "EIN", "12-3456789|123456789"),
    "bitcoin": (
        "CRYPTO",
        "Wallet",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa|bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
    ),
    "ethereum": ("CRYPTO", "Wallet", "0x52908400098527886E0F7030069857D2E4169EE7"),
    "nhs": ("NATIONAL_ID", "NHS", "943 476 5919|9434765919|943-476-5919"),
    "nino": ("NATIONAL_ID", "National insurance", "AB123456C|AB 12 34 56 C|ab123456c"),
    "utr": ("NATIONAL_ID", "UTR", "1955839661|19558 39661"),
    "steuer-id": ("NATIONAL_ID", "Steuer-ID", "86095742719|86 095 742 719|47036892816"),
    "rvnr": ("NATIONAL_ID", "Rentenversicherungsnummer", "15070649C103|15 070649 C 103"),
    "nir": ("NATIONAL_ID", "Sécurité sociale", "255081416802538|2 55 08 14 168 025 38"),
    "siren": ("NATIONAL_ID", "SIREN", "732829320|732 829 320"),
    "siret": ("NATIONAL_ID", "SIRET", "73282932000074|732 829 320 00074"),
    "dni": ("NATIONAL_ID", "DNI", "12345678Z|12345678-Z|12.345.678-Z|12345678z"),
    "nie": ("NATIONAL_ID", "NIE", "X1234567L|X-1234567-L|x1234567l"),
    "codice fiscale": (
        "NATIONAL_ID",
        "Codice fiscale",
        "RSSMRA85T10A562S|rssmra85t10a562s|RSS MRA 85T10 A562S",
    ),
    "partita iva": ("NATIONAL_ID", "P.IVA", "12345678903|00743110157"),
    "aadhaar": ("NATIONAL_ID", "Aadhaar", "2341 2341 2346|234123412346|2341-2341-2346"),
    "pan": ("NATIONAL_ID", "PAN", "ABCPE1234F|abcpe1234f"),
    "sin": ("NATIONAL_ID", "SIN", "130 692 544|130692544|130-692-544"),
    "tfn": ("NATIONAL_ID", "TFN", "123 456 782|123456782|865414088"),
    "au medicare": ("HEALTH_PLAN_ID|NATIONAL_ID", "Medicare", "2123 45670 1|2123456701"),
    "abn": ("NATIONAL_ID", "ABN", "51 824 753 556|51824753556"),
    "pesel": ("NATIONAL_ID", "PESEL", "44051401359|02070803628"),
    "personnummer": ("NATIONAL_ID", "Personnummer", "811218-9876|8112189876|19811218-9876"),
    "hetu": ("NATIONAL_ID", "Henkilötunnus", "131052-308T"),
    "rrn": ("NATIONAL_ID", "RRN", "960121-1234561|9601211234561"),
    "tckn": ("NATIONAL_ID", "TCKN", "10000000146"),
    "nric": ("NATIONAL_ID", "NRIC", "S1234567D|s1234567d"),
    "za id": ("NATIONAL_ID", "South African ID", "8001015009087|800101 5009 08 7"),
    "cpf": ("NATIONAL_ID", "CPF", "529.982.247-25|52998224725"),
    "cnpj": ("NATIONAL_ID", "CNPJ", "11.222.333/0001-81|11222333000181"),
    "bsn": ("NATIONAL_ID", "BSN", "111222333|123456782"),
    "ahv": ("NATIONAL_ID", "AHV", "756.9217.0769.85|7569217076985"),
    "rijksregister": ("NATIONAL_ID", "Rijksregisternummer", "85.07.30-033.28|85073003328"),
    "mbi": ("HEALTH_PLAN_ID", "Medicare", "1EG4-TE5-MK73|1EG4TE5MK73|1eg4te5mk73"),
    "udi": ("DEVICE_ID", "UDI", "(01)00844588003288(17)141120(10)7654321D"),
}


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_a_valid_number_is_found_whole_in_each_frame(kind: str) -> None:
    entity, label, values = VALUES[kind]
    missed = []
    for value in values.split("|"):
        for frame in FRAMES:
            text = frame.format(label=label, value=value)
            start = text.index(value)
            spans = [
                one
                for one in TIER.find(text)
                if one.entity in entity.split("|")
                and one.start <= start
                and start + len(value) <= one.end
            ]
            if not spans:
                missed.append((value, frame))
    assert missed == []


@pytest.mark.parametrize(
    ("text", "entity"),
    [
        ("pay to GB82 WEST 1234 5698 7654 33 now", "IBAN_CODE"),
        ("the code 4111 1111 1111 1112 was shown", "CREDIT_CARD"),
        ("ISIN US0378331006", "LEI"),
        ("DNI 12345678A", "NPI"),
        ("1HGCM82633A004353 was printed", "VEHICLE_ID"),
        ("address 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "CRYPTO"),
        ("the id 5493001KJTIIGC8Y1R13", "LEI"),
        ("ITIN 112-70-1234", "US_ITIN"),
        ("routing number 021000022", "ABA_ROUTING_NUMBER"),
        ("NPI 1234567890", "NPI"),
    ],
)
def test_a_number_with_a_wrong_check_digit_is_not_of_the_kind(text: str, entity: str) -> None:
    assert entity not in {one.entity for one in TIER.find(text)}


def test_random_digits_without_a_word_are_hardly_ever_a_national_id() -> None:
    numbers = random.Random(7)
    texts = [f"Total of {numbers.randrange(10**8, 10**11)} units sold." for _ in range(2000)]
    found = [one for text in texts for one in TIER.find(text) if one.entity == "NATIONAL_ID"]
    assert len(found) == 0
