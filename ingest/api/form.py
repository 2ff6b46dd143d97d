"""A multipart form read piece by piece, so that a file is never on disk or in memory in clear.

Source: RFC 7578. The fields must come before the file: who may bring it is decided by them first.
"""

from collections.abc import Callable, Iterator
from typing import Final

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from ragplatform.errors import InvalidRequestError

_LONGEST_FIELD: Final = 4096
_MOST_FIELDS: Final = 64


class Form:
    """One form with one file. Pulled by its reader, from ``more``, which gives b"" at the end."""

    def __init__(self, content_type: str, more: Callable[[], bytes]) -> None:
        """Raise ``InvalidRequestError`` for what is no multipart form."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise InvalidRequestError("wanted a form: Content-Type multipart/form-data")
        self.fields: dict[str, list[str]] = {}
        self.file_name = ""
        self._more = more
        self._part = ""
        # Count and length of a part's headers are bounded by the parser.
        self._name = self._header = b""
        self._headers: dict[bytes, bytes] = {}
        self._field: list[bytes] = []
        self._pieces: list[bytes] = []
        self._in_file = self._file_seen = self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._part_ends,
                "on_end": self._ends,
            },
        )

    def read_fields(self) -> None:
        """Read up to the file. Raises ``InvalidRequestError`` when there is none, or it is bad."""
        while not self._file_seen and self._advance():
            pass
        if not self._file_seen:
            raise InvalidRequestError("file: the form has none")

    def file(self) -> Iterator[bytes]:
        """Yield the file's bytes, to the end of the form."""
        while True:
            yield from self._take()
            if not self._advance():
                break
        yield from self._take()
        if not self._ended:
            raise InvalidRequestError("the form breaks off")

    def _take(self) -> list[bytes]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _advance(self) -> bool:
        data = self._more()
        if not data:
            return False
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise InvalidRequestError("the form is malformed") from error
        return True

    def _part_begins(self) -> None:
        if self._file_seen:
            raise InvalidRequestError("the file must be the last part of the form")
        self._headers, self._field = {}, []

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_ends(self) -> None:
        self._headers[self._name.lower()] = self._header
        self._name = self._header = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._part = _text(options.get(b"name", b""))
        if self._part == "file":
            self._in_file = self._file_seen = True
            self.file_name = _text(options.get(b"filename", b""))
        elif b"filename" in options:
            raise InvalidRequestError("the form may hold one file, called file")
        elif sum(map(len, self.fields.values())) >= _MOST_FIELDS:
            raise InvalidRequestError(f"the form has over {_MOST_FIELDS} fields")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._pieces.append(data[start:end])
            return
        self._field.append(data[start:end])
        if sum(map(len, self._field)) > _LONGEST_FIELD:
            raise InvalidRequestError(f"{self._part}: over {_LONGEST_FIELD} bytes")

    def _part_ends(self) -> None:
        if not self._in_file:
            # Clients write a list as a name with brackets, or as the same name again.
            name = self._part.removesuffix("[]")
            self.fields.setdefault(name, []).append(_text(b"".join(self._field)))
        self._in_file = False

    def _ends(self) -> None:
        self._ended = True


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequestError("the form holds a name or field that is not UTF-8") from error
