"""JSON and NDJSON without a format of their own: each value after the path that leads to it."""

import json
import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from ingest.parse.document import ParsedDocument, TextBuilder, clean
from ingest.parse.kind import Kind
from ragplatform.encodings import decode
from ragplatform.errors import ParseError

Value: TypeAlias = "dict[str, Value] | list[Value] | str | int | float | bool | None"

_MAX_DEPTH: Final = 100
# A picture or a file inside JSON, as base64: no text, and large.
_BLOB: Final = re.compile(r"[A-Za-z0-9+/_-]{512,}={0,2}")


def parse_json(data: bytes, *, kind: Kind, max_chars: int) -> ParsedDocument:
    """Return a line ``path: value`` for each value; records of flat fields take one line each.

    Nulls and empty strings are left out. Raises ``ParseError`` (``malformed``, ``no_text``,
    ``resource_limit``).
    """
    raw, _ = decode(data)
    if len(raw) > max_chars:
        raise ParseError("resource_limit", f"the text exceeds {max_chars} characters")
    builder = TextBuilder(max_chars=max_chars)
    if kind is Kind.NDJSON:
        for number, line in enumerate(raw.split("\n"), start=1):
            if line.strip():
                _write(_load(line, f"line {number}"), f"Record {number}", builder)
    else:
        _write(_load(raw, "the file"), "", builder)
    return builder.finish(kind.value)


def _load(text: str, where: str) -> Value:
    try:
        value: Value = json.loads(text.lstrip("\ufeff"), parse_int=_short, parse_float=str)
    except RecursionError as error:
        raise ParseError("resource_limit", f"{where} is nested too deeply") from error
    except ValueError as error:
        # The module's own message may repeat what stands there.
        raise ParseError("malformed", f"{where} is not JSON") from error
    return value


def _short(digits: str) -> str:
    """Return a number as it is written: a long account number must not be rounded."""
    return digits


def _write(value: Value, name: str, builder: TextBuilder) -> None:
    for path, shown in _lines(value, name):
        builder.add(f"{path}: {shown}" if path else shown)


def _lines(value: Value, name: str) -> Iterator[tuple[str, str]]:
    """Yield path and text of what the value holds, in order."""
    waiting: list[tuple[Value, str, int]] = [(value, name, 0)]
    while waiting:
        item, path, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise ParseError("resource_limit", f"nested deeper than {_MAX_DEPTH}")
        if isinstance(item, dict) and (flat := _flat(item)) is not None:
            if flat:
                yield (path, flat) if depth or path else ("", flat)
        elif isinstance(item, dict):
            steps = [(child, f"{path}.{key}" if path else key) for key, child in item.items()]
            waiting += [(child, step, depth + 1) for child, step in reversed(steps)]
        elif isinstance(item, list):
            if all(not isinstance(child, (dict, list)) for child in item):
                if joined := ", ".join(filter(None, map(_shown, item))):
                    yield path, joined
                continue
            steps = [(child, f"{path}[{number}]") for number, child in enumerate(item, start=1)]
            waiting += [(child, step, depth + 1) for child, step in reversed(steps)]
        elif shown := _shown(item):
            yield path, shown


def _flat(record: dict[str, Value]) -> str | None:
    """Return the fields of a record on one line, or None if it holds more than short fields."""
    fields = []
    for key, value in record.items():
        if isinstance(value, (dict, list)):
            return None
        shown = _shown(value)
        if len(shown) > 500:
            return None
        if shown:
            fields.append(f"{key}: {shown}")
    return "; ".join(fields)


def _shown(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _BLOB.sub("", clean(str(value))).strip()
