"""Records as lines of the ArcSight Common Event Format.

Source: Micro Focus Security ArcSight Common Event Format, version 25: header and extension
escaping, and the names and lengths of the extension dictionary.
"""

import re
from collections.abc import Mapping
from typing import Final

from ragplatform import __version__
from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.export import reading
from ragplatform.audit.export.kinds import Family, kind_of
from ragplatform.audit.record import Record, canonical

# A line must stay one line, whatever a reader takes for a line end, and must not steer a terminal.
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")

# The dictionary's lengths, in characters, of the keys that hold texts.
LENGTHS: Final[Mapping[str, int]] = {
    "act": 63,
    "cat": 1023,
    "cs1": 4000,
    "cs2": 4000,
    "cs3": 4000,
    "cs4": 4000,
    "cs5": 4000,
    "cs6": 4000,
    "deviceExternalId": 255,
    "dhost": 1023,
    "externalId": 40,
    "fileId": 1023,
    "outcome": 63,
    "reason": 1023,
    "requestClientApplication": 1023,
    "suid": 1023,
}

_SEVERITIES: Final[Mapping[Outcome, int]] = {
    Outcome.SUCCESS: 3,
    Outcome.DENIED: 5,
    Outcome.FAILURE: 6,
}


def line(record: Record) -> str:
    """Return the record as one line, without its line end.

    The leaf hash is ``cs5``, all details are ``cs6`` as JSON; what is longer than the dictionary
    allows is cut.
    """
    header = (
        "CEF:0",
        "ragplatform",
        "ragplatform",
        _header(__version__),
        _header(str(record.action)),
        _header(f"{record.action} {record.outcome}"),
        str(_severity(record)),
    )
    pairs = _extension(record)
    cut = {name: value[: LENGTHS.get(name, 1023)] for name, value in pairs.items() if value}
    return "|".join(header) + "|" + " ".join(f"{k}={_value(v)}" for k, v in cut.items())


def _extension(record: Record) -> dict[str, str]:
    labels = {
        "cs1": ("tenant", record.tenant),
        "cs2": ("purpose", record.purpose or ""),
        "cs3": ("policyDigest", reading.policy(record)),
        "cs4": ("requestId", record.request_id),
        "cs5": ("leafHash", record.leaf.hex()),
        "cs6": ("details", canonical(reading.plain(record.details)).decode()),
    }
    pairs = {
        "rt": str(reading.milliseconds(record.time)),
        "act": str(record.action),
        "cat": str(kind_of(record.action).family),
        "outcome": str(record.outcome),
        "reason": reading.reason(record),
        "suid": record.actor,
        "requestClientApplication": reading.client(record),
        "deviceExternalId": record.origin,
        "externalId": str(record.index),
        "fileId": " ".join(reading.documents(record)),
        "dhost": reading.text(record, "host"),
    }
    for name, (label, value) in labels.items():
        if value:
            pairs |= {f"{name}Label": label, name: value}
    return pairs


def _severity(record: Record) -> int:
    if kind_of(record.action).family is Family.ALARM or record.action is Action.BROKE_GLASS:
        return 8
    return _SEVERITIES[record.outcome]


def _header(text: str) -> str:
    one_line = _CONTROL.sub(" ", text).replace("\r", " ").replace("\n", " ")
    return one_line.replace("\\", "\\\\").replace("|", "\\|")


def _value(text: str) -> str:
    escaped = _CONTROL.sub(" ", text).replace("\\", "\\\\").replace("=", "\\=")
    return escaped.replace("\r", "\\r").replace("\n", "\\n")
