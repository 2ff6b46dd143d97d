"""Looks for the demo's planted identifiers in every byte that ingest wrote."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.transform import IN_CLEAR

PLANTED: Final = Path(__file__).with_name("planted.jsonl")
# Staff of the demo are callers too, and the file of callers names them.
_CALLERS: Final = "api-keys.toml"
# Memory-mapped files are mostly empty.
_HOLE: Final = re.compile(rb"\0{3,}")


def must_be_gone(rules: PrivacyRules, collections: Mapping[str, str]) -> frozenset[str]:
    """Return the planted values that the rules let into no index, of all tenants' collections."""
    rows = map(json.loads, PLANTED.read_text(encoding="utf-8").splitlines())
    return frozenset(
        row["value"]
        for row in rows
        if rules.mode(row["entity"], collections[row["file"].split("/")[0]]) not in IN_CLEAR
    )


def left_under(folder: Path, values: Iterable[str]) -> list[str]:
    """Return which values stand as whole words in any file, in any case, in UTF-8 or UTF-16."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    parts = [_HOLE.sub(b"\0\0", path.read_bytes()) for path in files if path.name != _CALLERS]
    written = b"\n".join([*parts, *(part.replace(b"\0", b"") for part in parts)]).lower()
    return sorted(value for value in values if _stands(written, value.lower().encode()))


def _stands(written: bytes, value: bytes) -> bool:
    at = written.find(value)
    while at >= 0:
        end = at + len(value)
        if not written[at - 1 : at].isalnum() and not written[end : end + 1].isalnum():
            return True
        at = written.find(value, at + 1)
    return False
