"""The formats that the log can be exported in, by name."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ragplatform.audit.export import cef, ecs, fhir_r4, fhir_r5, ocsf, plain
from ragplatform.audit.record import Record
from ragplatform.model import Json


class Format(StrEnum):
    """The name of a format, as commands and records say it."""

    OCSF = "ocsf"
    FHIR_R4 = "fhir-r4"
    FHIR_R5 = "fhir-r5"
    CEF = "cef"
    ECS = "ecs"
    NDJSON = "ndjson"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Writer:
    """How a format writes: what comes first, and the text of each record with its line end."""

    heading: str
    text: Callable[[Record], str]
    media_type: str


def _json_lines(event: Callable[[Record], dict[str, Json]], media_type: str) -> Writer:
    def text(record: Record) -> str:
        # ASCII alone: no character of a name from outside can end the line or steer a terminal.
        return json.dumps(event(record), separators=(",", ":"), allow_nan=False) + "\n"

    return Writer("", text, media_type)


WRITERS: Final[Mapping[Format, Writer]] = {
    Format.OCSF: _json_lines(ocsf.event, "application/x-ndjson"),
    Format.FHIR_R4: _json_lines(fhir_r4.event, "application/fhir+ndjson"),
    Format.FHIR_R5: _json_lines(fhir_r5.event, "application/fhir+ndjson"),
    Format.CEF: Writer("", lambda record: cef.line(record) + "\n", "text/plain; charset=utf-8"),
    Format.ECS: _json_lines(ecs.event, "application/x-ndjson"),
    Format.NDJSON: _json_lines(plain.event, "application/x-ndjson"),
    Format.CSV: Writer(plain.heading(), plain.row, "text/csv; charset=utf-8; header=present"),
}
"""How each format writes."""
