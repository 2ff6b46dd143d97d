"""What spreadsheets, slides, OpenDocument, RTF, JSON, XML and mail look like as text."""

import io
import zipfile
from collections.abc import Callable
from email.message import EmailMessage

import pytest

from ingest.parse.document import ParsedDocument
from ingest.parse.route import parse
from ragplatform.errors import ParseError
from tests.fakes_parsers import odf, pptx, xlsx

MANY = 10_000_000


def read(data: bytes, name: str) -> ParsedDocument:
    return parse(data, name, MANY)


def mail(**headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in headers.items():
        message[name] = value
    return message


def test_a_sheet_is_a_heading_and_each_row_can_be_read_alone() -> None:
    data = xlsx({"Labs": [["Date", "Value"], ["2024-01-02", 7.25], ["2024-01-03", 8]]})

    document = read(data, "a.xlsx")

    assert [h.title for h in document.headings] == ["Labs"]
    assert document.text.split("\n")[1:] == [
        "Row 2: Date: 2024-01-02; Value: 7.25",
        "Row 3: Date: 2024-01-03; Value: 8",
    ]


def test_an_empty_row_parts_two_tables_of_one_sheet() -> None:
    rows: list[list[object]] = [["Name", "Age"], ["Roe", 41], [], ["Drug", "Dose"], ["Aspirin", 5]]

    text = read(xlsx({"S": rows}), "a.xlsx").text

    assert "Row 2: Name: Roe; Age: 41" in text
    assert "Row 5: Drug: Aspirin; Dose: 5" in text


def test_a_sheet_that_spans_the_whole_grid_is_refused_before_it_is_read() -> None:
    data = xlsx({"S": [["a"]]}, extra='<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')

    with pytest.raises(ParseError) as caught:
        read(data, "a.xlsx")

    assert caught.value.reason == "resource_limit"


def test_a_hidden_sheet_is_left_out_and_said_so() -> None:
    document = read(xlsx({"Seen": [["one"]], "Unseen": [["two"]]}, hidden={"Unseen"}), "a.xlsx")

    assert "two" not in document.text
    assert document.warnings == ("hidden_sheets_left_out",)


def test_slides_are_pages_with_titles_and_notes() -> None:
    document = read(
        pptx([("Plan", "Rest", "Say it slowly"), ("Follow-up", "In May", "")]), "a.pptx"
    )

    assert [page.number for page in document.pages] == [1, 2]
    assert [h.title for h in document.headings] == ["Plan", "Follow-up"]
    assert document.page_at(document.text.index("In May")) == 2
    assert "Notes:\nSay it slowly" in document.text


def test_opendocument_keeps_headings_lists_and_tables_and_drops_deleted_text() -> None:
    body = (
        "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        '<text:h text:outline-level="2">Plan</text:h><text:p>Rest<text:s text:c="2"/>well</text:p>'
        "<text:list><text:list-item><text:p>one</text:p></text:list-item></text:list>"
        "<table:table><table:table-row><table:table-cell><text:p>Na</text:p></table:table-cell>"
        "<table:table-cell><text:p>140</text:p></table:table-cell></table:table-row></table:table>"
    )

    document = read(odf("text", body), "a.odt")

    assert document.text.split("\n") == ["Plan", "Rest  well", "- one", "Na | 140"]
    assert [(h.level, h.title) for h in document.headings] == [(2, "Plan")]


def test_rtf_is_read_in_its_fonts_encodings_without_hidden_text_or_field_code() -> None:
    data = (
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset238 B;}}"
        rb"{\stylesheet{\s1 heading 1;}}\pard\s1 Plan\par\pard M\'fcller "
        rb"{\f1 W\'b9sik} \u8364? {\v secret}"
        rb"{\field{\*\fldinst HYPERLINK evil}{\fldrslt link}}\par"
        rb"\trowd Na\cell 140\cell\row{\pict\bin4 }}{{\par}end\par}"
    )

    document = read(data, "a.rtf")

    assert document.text.split("\n")[0] == "Plan"
    assert "Müller Wąsik €" in document.text
    assert "Na | 140" in document.text
    assert "secret" not in document.text
    assert "evil" not in document.text
    assert [h.title for h in document.headings] == ["Plan"]


@pytest.mark.parametrize(
    ("data", "name", "text"),
    [
        (b'{"a": {"b": [{"c": 1.50, "d": "x"}]}}', "a.json", "a.b[1]: c: 1.50; d: x"),
        (b'{"id": 12345678901234567890123}', "a.json", "id: 12345678901234567890123"),
        (b'{"a": 1}\n\n{"a": 2}\n', "a.ndjson", "Record 1: a: 1\nRecord 3: a: 2"),
        (b'<r><p id="7"><n>Roe</n></p></r>', "a.xml", "p (id: 7)\nn: Roe"),
        (b"<r>Take <b>two</b> a day</r>", "a.xml", "r: Take two a day"),
    ],
)
def test_each_value_stands_after_what_leads_to_it(data: bytes, name: str, text: str) -> None:
    assert read(data, name).text == text


def test_a_mail_shows_its_headers_and_its_plain_text() -> None:
    message = mail(From="Dr Roe <roe@x.test>", To="lab@x.test", Subject="Größe of the sample")
    message.set_content("Please repeat.")
    message.add_alternative("<p>Please <b>repeat</b>.</p>", subtype="html")
    message.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="r.pdf")

    document = read(message.as_bytes(), "a.eml")

    assert document.text == (
        "From: Dr Roe <roe@x.test>\nTo: lab@x.test\nSubject: Größe of the sample\n\n"
        "Please repeat.\n\nAttachments: r.pdf"
    )
    assert [h.title for h in document.headings] == ["Größe of the sample"]


@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        (lambda: b'<!DOCTYPE r [<!ENTITY a "x">]><r>&a;</r>', "a.xml", "active_content"),
        (
            lambda: '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>'.encode(
                "utf-16"
            ),
            "a.xml",
            "active_content",
        ),
        (lambda: b"<r>" * 100_000, "a.xml", "resource_limit"),
        (lambda: b"<r><a></r>", "a.xml", "malformed"),
        (lambda: b"[" * 100_000, "a.json", "resource_limit"),
        (lambda: b'{"a": ', "a.json", "malformed"),
        (lambda: b"{" * 20_000, "a.rtf", "malformed"),
        (lambda: b"{\\rtf1" + b"{" * 20_000, "a.rtf", "resource_limit"),
        (lambda: xlsx({"S": [["a"]]}), "a.docx", "type_mismatch"),
        (lambda: pptx([("a", "b", "")]), "a.xlsx", "type_mismatch"),
        (lambda: odf("text", "<text:p>a</text:p>"), "a.zip", "type_mismatch"),
        (lambda: b"\x89PNG\r\n\x1a\n" + bytes(40), "a.jpg", "type_mismatch"),
        (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.msg", "malformed"),
        (lambda: xlsx({"S": [["a"]]})[:700], "a.xlsx", "malformed"),
        (lambda: with_part(xlsx({"S": [["a"]]}), "xl/vbaProject.bin"), "a.xlsx", "active_content"),
        (
            lambda: with_part(odf("text", "<text:p>a</text:p>"), "Basic/Standard/Module1.xml"),
            "a.odt",
            "active_content",
        ),
        (
            lambda: b"From: a@x.test\nContent-Type: multipart/encrypted\n\n--\n",
            "a.eml",
            "encrypted",
        ),
    ],
)
def test_a_bad_office_file_is_put_aside_with_a_true_reason(
    make: Callable[[], bytes], name: str, reason: str
) -> None:
    with pytest.raises(ParseError) as caught:
        read(make(), name)

    assert caught.value.reason == reason


def with_part(data: bytes, name: str) -> bytes:
    target = io.BytesIO(data)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr(name, b"macro")
    return target.getvalue()
