"""A form is read piece by piece, whatever the pieces are, and never trusted."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.api.form import Form
from ragplatform.errors import InvalidRequestError

TYPE = "multipart/form-data; boundary=xyz"


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    shown = f'; filename="{filename}"' if filename is not None else ""
    head = f'--xyz\r\nContent-Disposition: form-data; name="{name}"{shown}\r\n\r\n'
    return head.encode() + value + b"\r\n"


def form(body: bytes, size: int = 7, content_type: str = TYPE) -> Form:
    pieces = iter([body[at : at + size] for at in range(0, len(body), size)])
    return Form(content_type, lambda: next(pieces, b""))


END = b"--xyz--\r\n"
FILE = part("file", b"Anna\r\n--xy\r\nBerg", "n\u00e4me.txt")


@given(size=st.integers(1, 400))
def test_however_it_is_cut_fields_and_file_are_the_same(size: int) -> None:
    body = part("collection", b"clinical") + part("label[]", b"a=b") + part("label[]", b"c=d")
    one = form(body + FILE + END, size)

    one.read_fields()

    assert one.fields == {"collection": ["clinical"], "label": ["a=b", "c=d"]}
    assert b"".join(one.file()) == b"Anna\r\n--xy\r\nBerg"
    assert one.file_name == "n\u00e4me.txt"


def test_nothing_of_the_file_is_asked_for_before_its_fields_were_judged() -> None:
    body = part("collection", b"clinical") + part("file", b"x" * 5000, "a.txt") + END
    left = [body[at : at + 100] for at in range(0, len(body), 100)]
    one = Form(TYPE, lambda: left.pop(0) if left else b"")

    one.read_fields()

    assert len(left) > 45


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (part("collection", b"c") + END, "has none"),
        (part("other", b"x", "a.txt") + END, "one file"),
        (part("collection", b"\xff") + FILE + END, "UTF-8"),
        (part("collection", b"x" * 5000) + FILE + END, "over 4096"),
        (b"".join(part("a", b"") for _ in range(65)) + FILE + END, "over 64"),
        (b"no form at all", "malformed"),
    ],
)
def test_a_form_that_is_none_is_refused_with_what_is_wrong(body: bytes, what: str) -> None:
    with pytest.raises(InvalidRequestError, match=what):
        form(body).read_fields()


@pytest.mark.parametrize("tail", [b"", part("collection", b"late") + END, FILE + END])
def test_a_form_that_breaks_off_or_goes_on_behind_its_file_is_refused(tail: bytes) -> None:
    one = form(part("collection", b"c") + FILE + tail)
    one.read_fields()

    def drain() -> Iterator[bytes]:
        yield from one.file()

    with pytest.raises(InvalidRequestError):
        list(drain())


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", ""])
def test_what_is_no_form_is_refused(kind: str) -> None:
    with pytest.raises(InvalidRequestError, match="multipart"):
        form(FILE, content_type=kind)
