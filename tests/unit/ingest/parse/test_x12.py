"""X12 claims and payments become text, cut by patient."""

from random import Random

import pytest

from ingest.parse.document import ParsedDocument, SubjectId
from ingest.parse.interchange import split
from ingest.parse.route import parse
from ragplatform.errors import ParseError

ISA = (
    "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       "
    "*240506*0708*^*00501*000000001*0*P*:~"
)
CLAIMS = (
    ISA
    + """GS*HC*S*R*20240506*0708*1*X*005010X222A1~
ST*837*0001*005010X222A1~
NM1*41*2*ELM CLINIC*****46*123~
HL*1**20*1~
NM1*85*2*ELM CLINIC*****XX*1234567893~
N3*2 ELM ST~
N4*SALEM*MA*01970~
HL*2*1*22*0~
SBR*P*18*G-7~
NM1*IL*1*ABERG*ANNA****MI*MEM1~
DMG*D8*19610402*F~
CLM*ACC1*150***11:B:1~
HI*ABK:J209*ABF:E119~
LX*1~
SV1*HC:99213:25*150*UN*1***1~
DTP*472*D8*20240501~
HL*3*1*22*1~
NM1*IL*1*IVANOV*BORIS****MI*MEM2~
HL*4*3*23*0~
PAT*19~
NM1*QC*1*IVANOV*CLARA~
CLM*ACC2*90***11:B:1~
SE*20*0001~
GE*1*1~
IEA*1*000000001~"""
)
PAYMENTS = (
    ISA
    + """GS*HP*S*R*20240506*0708*1*X*005010X221A1~
ST*835*0001~
BPR*I*130*C*ACH*CCP*01*111*DA*222*1*9**01*333*DA*444*20240506~
TRN*1*T-1*9~
N1*PR*GOOD HEALTH~
LX*1~
CLP*ACC1*1*150*100*50*12*PCN1~
CAS*PR*1*50~
NM1*QC*1*ABERG*ANNA****MI*MEM1~
SVC*HC:99213*150*100~
CLP*ACC3*4*60*0**12*PCN2~
NM1*QC*1*IVANOV*BORIS****MI*MEM2~
SE*12*0001~GE*1*1~IEA*1*1~"""
)


def read(text: str) -> ParsedDocument:
    return parse(text.encode(), "a.x12", 1_000_000)


def parts_of(text: str) -> dict[str, ParsedDocument]:
    data = text.encode()
    return {part.key: parse(part.cut(data), "a.x12", 10**6) for part in split(data, "a.x12")}


def test_a_claim_reads_with_its_codes_and_people() -> None:
    text = read(CLAIMS).text

    for line in (
        "X12 837 (claim)",
        "Billing provider: ELM CLINIC, NPI 1234567893",
        "Subscriber: ANNA ABERG, member id MEM1",
        "Date of birth: 1961-04-02; Sex: female",
        "Principal diagnosis: ICD-10-CM J209; Diagnosis: ICD-10-CM E119",
        "Service: CPT 99213 (modifiers 25); charge: 150; units: 1",
        "Service date: 2024-05-01",
    ):
        assert line in text.split("\n")


def test_claims_are_cut_by_patient_with_the_loops_around_them() -> None:
    parts = parts_of(CLAIMS)

    assert parts.keys() == {"member MEM1", "member MEM2 and CLARA IVANOV"}
    anna = parts["member MEM1"]
    assert anna.claims.subjects == ((SubjectId("member", "MEM1"), SubjectId("account", "ACC1")),)
    assert "ELM CLINIC" in anna.text
    assert "IVANOV" not in anna.text


def test_a_dependants_claim_is_about_two_people() -> None:
    family = parts_of(CLAIMS)["member MEM2 and CLARA IVANOV"]

    assert [ids[0] for ids in family.claims.subjects] == [
        SubjectId("member", "MEM2"),
        SubjectId("account", "ACC2"),
    ]


def test_payments_are_cut_by_patient() -> None:
    parts = parts_of(PAYMENTS)

    anna = parts["member MEM1"]
    assert "Payer: GOOD HEALTH" in anna.text
    assert "status: processed as primary; charge: 150; paid: 100" in anna.text
    assert "Adjustment, patient responsibility: reason 1 50" in anna.text
    assert "BORIS" not in anna.text
    assert "PCN2" in parts["member MEM2"].text


def test_an_enrolment_names_everybody_in_it() -> None:
    text = ISA + "ST*834*1~NM1*IL*1*ABERG*ANNA****MI*1~NM1*IL*1*IVANOV*BORIS****34*2~SE*1*1~"

    assert len(read(text).claims.subjects) == 2


@pytest.mark.parametrize("text", [ISA[:90] + "\n", ISA.replace("*:~", "***")])
def test_a_damaged_header_is_put_aside(text: str) -> None:
    with pytest.raises(ParseError) as caught:
        read(text)

    assert caught.value.reason == "malformed"


@pytest.mark.parametrize("seed", range(6))
def test_no_damage_breaks_the_reader(seed: int) -> None:
    random = Random(seed)
    for whole in (CLAIMS, PAYMENTS):
        for _ in range(60):
            data = bytearray(whole.encode())
            for _ in range(random.randrange(1, 8)):
                data[random.randrange(20, len(data))] = random.choice(b"*:~\n\x00A\xff^ ")
            try:
                split(bytes(data), "a.x12")
                parse(bytes(data), "a.x12", 10**6)
            except ParseError as error:
                if error.reason not in {"malformed", "no_text"}:
                    raise


def test_claims_are_dated_by_their_last_service_and_payments_without_one_by_their_envelope() -> (
    None
):
    later = CLAIMS.replace("D8*20240501", "RD8*20240420-20240503")

    dates = [read(one).claims.date for one in (CLAIMS, later, PAYMENTS)]

    assert dates == ["2024-05-01", "2024-05-03", "2024-05-06"]
