"""The trace id that a caller sends along, so that an auditor finds its request in other systems."""

import re
from collections.abc import Sequence
from typing import Final

# Source: W3C Trace Context, section 3.2. A later version may append fields; version ff is invalid,
# and so is an id of zeros alone.
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)


def trace_id(headers: Sequence[str]) -> str:
    """Return the trace id of the one valid ``traceparent`` header, or "" for none.

    Only its 32 hexadecimal digits are kept: what else a caller writes there may be anything.
    """
    match = _TRACEPARENT.fullmatch(headers[0].strip()) if len(headers) == 1 else None
    if match is None or (len(headers[0].strip()) != 55 and headers[0].startswith("00")):
        return ""
    return match[1]
