"""Damage of any kind ends in text or in a reason, never in a crash."""

import random
from collections.abc import Iterator

import pytest

from bench.parse_robustness import mutated, try_one
from ingest.parse.document import REASONS
from ingest.parse.sandbox import Limits, Sandbox
from tests.fakes_parsers import odf, pptx, simple_docx, xlsx

MAIL = (
    b"From: a@x.test\nSubject: =?utf-8?Q?Gr=C3=B6=C3=9Fe?=\nMIME-Version: 1.0\n"
    b'Content-Type: multipart/mixed; boundary="B"\n\n--B\nContent-Type: text/html\n\n<p>hi</p>\n'
    b'--B\nContent-Disposition: attachment; filename="t.csv"\nContent-Transfer-Encoding: base64\n'
    b"\nYSxiCjEsMgo=\n--B--\n"
)
SOUND = {
    "a.xlsx": xlsx({"Labs": [["Date", "Value"], ["2024-01-02", 7.25]]}),
    "a.pptx": pptx([("Plan", "Rest", "Notes")]),
    "a.odt": odf("text", "<text:h>Plan</text:h><text:p>Rest</text:p>"),
    "a.docx": simple_docx("Stable."),
    "a.rtf": rb"{\rtf1\ansi{\fonttbl{\f0\fcharset238 A;}}\f0 W\'b9s\u8364?{\v x}\par a\cell\row}",
    "a.json": b'{"a": [1, {"b": "\\ud83d\\ude00"}, null]}',
    "a.xml": b'<?xml version="1.0"?><r a="1"><b>x</b> y</r>',
    "a.eml": MAIL,
    "a.mbox": b"From a@x.test Mon Jan  1 10:00:00 2024\n" + MAIL,
    "a.zip": odf("text", "").replace(b"mimetype", b"other.te"),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(limits=Limits(timeout_s=20)) as running:
        yield running


@pytest.mark.parametrize("name", SOUND)
def test_a_damaged_file_ends_in_text_or_in_a_reason(sandbox: Sandbox, name: str) -> None:
    chance = random.Random(name)

    outcomes = {
        outcome
        for _ in range(30)
        for outcome, _ in try_one(sandbox, mutated(SOUND[name], chance), name)
    }

    assert outcomes <= {*REASONS, "parsed", "unpacked"} - {"crashed", "timeout"}
