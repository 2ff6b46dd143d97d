"""Account statements and payments become lines, cut by account."""

from random import Random

import pytest

from ingest.parse.document import ParsedDocument, SubjectId
from ingest.parse.interchange import split
from ingest.parse.route import parse
from ragplatform.errors import ParseError

MT940 = """{1:F01BANKDEFFXXXX0000000000}{2:I940BANKDEFFXXXXN}{4:
:20:REF1
:25:10020030/1234567
:28C:1/1
:60F:C240501EUR1000,00
:61:2405060506D150,50NTRFRENT MAY//B-1
extra
:86:166?00TRANSFER?20Rent for?21 May?30BANKDEFF?31DE02120300000000202051?32BORIS IVANOV
:62F:C240506EUR849,50
-}{1:F01BANKDEFFXXXX0000000000}{2:I940BANKDEFFXXXXN}{4:
:20:REF2
:25:10020030/7654321
:60F:C240501EUR5,
:62F:D240506EUR7,
-}
"""
ENTRY = """<Ntry><Amt Ccy="EUR">150.50</Amt><CdtDbtInd>DBIT</CdtDbtInd>
<BookgDt><Dt>2024-05-06</Dt></BookgDt><NtryDtls><TxDtls><Refs><EndToEndId>E2E</EndToEndId></Refs>
<RltdPties><Cdtr><Nm>Boris Ivanov</Nm></Cdtr><CdtrAcct><Id><IBAN>DE02</IBAN></Id></CdtrAcct>
</RltdPties><RmtInf><Ustrd>Rent for May</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"""


def statement(iban: str) -> str:
    return f"""<Stmt><Id>S-{iban}</Id><Acct><Id><IBAN>{iban}</IBAN></Id><Ownr><Nm>Anna Äberg</Nm>
    </Ownr></Acct><Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">1000</Amt></Bal>
    {ENTRY}</Stmt>"""


def camt(*ibans: str) -> str:
    body = "".join(statement(iban) for iban in ibans)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>
<GrpHdr><MsgId>M-1</MsgId><CreDtTm>2024-05-07T01:02:03</CreDtTm></GrpHdr>{body}
</BkToCstmrStmt></Document>"""


PACS = """<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08"><FIToFICstmrCdtTrf>
<GrpHdr><MsgId>P</MsgId></GrpHdr>
<CdtTrfTxInf><IntrBkSttlmAmt Ccy="USD">10</IntrBkSttlmAmt><Dbtr><Nm>Anna</Nm></Dbtr>
<DbtrAcct><Id><IBAN>DE01</IBAN></Id></DbtrAcct>
<CdtrAcct><Id><Othr><Id>9</Id></Othr></Id></CdtrAcct></CdtTrfTxInf>
<CdtTrfTxInf><DbtrAcct><Id><IBAN>DE05</IBAN></Id></DbtrAcct></CdtTrfTxInf>
</FIToFICstmrCdtTrf></Document>"""


def read(text: str, name: str) -> ParsedDocument:
    return parse(text.encode(), name, 1_000_000)


def parts_of(text: str, name: str) -> list[ParsedDocument]:
    data = text.encode()
    return [parse(part.cut(data), name, 10**6) for part in split(data, name)]


def test_a_swift_statement_reads_like_one_on_paper() -> None:
    lines = read(MT940, "a.sta").text.split("\n")

    assert "Opening balance on 2024-05-01: 1000.00 EUR credit" in lines
    booking = "2024-05-06: debit 150.50 EUR; booked 05-06; type NTRF; reference RENT MAY; "
    assert booking + "bank reference B-1; extra" in lines
    details = "166 TRANSFER Rent for May bank: BANKDEFF; account: DE02120300000000202051; "
    assert f"Details: {details}name: BORIS IVANOV" in lines


def test_swift_statements_are_cut_by_account() -> None:
    first, second = parts_of(MT940, "a.sta")

    assert first.claims.subjects == ((SubjectId("account", "1234567", "10020030"),),)
    assert first.claims.date == "2024-05-06"
    assert "7654321" not in first.text
    assert "BORIS" not in second.text


def test_an_iso_statement_reads_with_its_names_spelled_out() -> None:
    text = read(camt("DE01"), "a.xml").text

    for line in (
        "Account statement (camt.053.001.08)",
        "Account: IBAN: DE01; Owner name: Anna Äberg",
        "Balance: Code: OPBD; Amount: 1000 EUR",
        "Booking: Amount: 150.50 EUR; Credit or debit: DBIT; Booking date: 2024-05-06",
        "Transaction: End-to-end id: E2E; Creditor name: Boris Ivanov; "
        "Creditor account IBAN: DE02; Purpose: Rent for May",
    ):
        assert line in text.split("\n")


def test_iso_statements_are_cut_by_account() -> None:
    first, second = parts_of(camt("DE01", "DE05", "DE01"), "a.xml")

    assert first.claims.subjects == ((SubjectId("account", "DE01"),),)
    assert first.text.count("S-DE01") == 2
    assert "DE05" not in first.text
    assert second.claims.subjects == ((SubjectId("account", "DE05"),),)


def test_a_payment_is_about_both_its_accounts() -> None:
    first, second = parts_of(PACS, "a.xml")

    assert [ids[0].value for ids in first.claims.subjects] == ["DE01", "9"]
    assert "Debtor name: Anna" in first.text
    assert [ids[0].value for ids in second.claims.subjects] == ["DE05"]


def test_a_document_type_is_refused() -> None:
    data = camt("DE01").replace("?>", '?><!DOCTYPE Document [<!ENTITY a "b">]>', 1)

    with pytest.raises(ParseError) as caught:
        read(data, "a.xml")

    assert caught.value.reason == "active_content"


@pytest.mark.parametrize("seed", range(6))
def test_no_damage_breaks_the_readers(seed: int) -> None:
    random = Random(seed)
    for whole, name in ((MT940, "a.sta"), (camt("DE01", "DE05"), "a.xml"), (PACS, "b.xml")):
        for _ in range(60):
            data = bytearray(whole.encode())
            for _ in range(random.randrange(1, 6)):
                data[random.randrange(len(data))] = random.choice(b":\n-</>{}\x00A\xff1,")
            try:
                split(bytes(data), name)
                parse(bytes(data), name, 10**6)
            except ParseError as error:
                if error.reason not in {"malformed", "no_text", "unsupported_type"}:
                    raise
