"""Syslog over TLS: one message for each record.

Source: RFC 5424 (the message), RFC 5425 (TLS, octet counting).
"""

import contextlib
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ragplatform.audit.events import Outcome
from ragplatform.audit.forward import Format
from ragplatform.audit.record import Record, stamp
from ragplatform.errors import EgressBlockedError, ForwardError

# "log audit". Source: RFC 5424, section 6.2.1, table 1.
_FACILITY: Final = 13
# Informational, warning, error. Source: RFC 5424, section 6.2.1, table 2.
_SEVERITY: Final[Mapping[Outcome, int]] = {
    Outcome.SUCCESS: 6,
    Outcome.DENIED: 4,
    Outcome.FAILURE: 3,
}

_BOM: Final = b"\xef\xbb\xbf"
_UNPRINTABLE: Final = re.compile(r"[^!-~]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SPECIAL: Final = re.compile(r'(["\\\]])')

Connect = Callable[[], ssl.SSLSocket]
"""Returns a verified connection to the receiver. Raises ``OSError``, ``EgressBlockedError``."""


class SyslogFormat:
    """Writes a record as a syslog message; ``line`` gives its text for people and parsers."""

    def __init__(self, line: Format, *, host: str, enterprise: int) -> None:
        self._line = line
        self._host = _token(host, 255)
        self._sd_id = f"ragplatform@{enterprise}"

    def message(self, record: Record) -> bytes:
        """Return the message, without its frame.

        Nothing is cut off: a receiver must take 2,048 bytes and should take 8,192 (RFC 5424,
        section 6.1), and a record can have 65,535.
        """
        priority = _FACILITY * 8 + _SEVERITY[record.outcome]
        head = " ".join(
            (
                f"<{priority}>1",
                stamp(record.time),
                self._host,
                "ragplatform",
                _token(record.origin, 128),
                _token(str(record.action), 32),
                self._structured(record),
            )
        )
        return f"{head} ".encode() + _BOM + self._line(record).encode()

    def _structured(self, record: Record) -> str:
        values = {
            "origin": record.origin,
            "index": str(record.index),
            "leaf": record.leaf.hex(),
            "action": str(record.action),
            "outcome": str(record.outcome),
            "tenant": record.tenant,
            "actor": record.actor,
            "purpose": record.purpose or "",
            "request": record.request_id,
        }
        shown = (f'{name}="{_value(text)}"' for name, text in values.items() if text)
        return f"[{self._sd_id} {' '.join(shown)}]"


def framed(message: bytes) -> bytes:
    """Return the message with its length before it. Source: RFC 5425, section 4.3."""
    return b"%d %s" % (len(message), message)


class SyslogTarget:
    """Sends each batch over a connection of its own, and waits until the receiver has read it.

    Syslog knows no acknowledgement. What comes nearest is the end of a TLS connection: a receiver
    answers our close_notify with its own only after it has read all before it (RFC 5425, section
    4.4). A connection that is kept open would lose, with the receiver, whatever lies in buffers.

    ``bare_close`` is for receivers that close without that answer. A host with unread data resets
    the connection, so an orderly end says that all was read; but whoever sits on the network can
    forge it, and make us believe that what he kept back arrived.
    """

    def __init__(
        self, name: str, *, form: SyslogFormat, connect: Connect, bare_close: bool
    ) -> None:
        self.name: Final = name
        self._form = form
        self._connect = connect
        self._bare_close = bare_close

    def take(self, batch: Sequence[Record]) -> None:
        """Send the batch. Raises ``ForwardError`` unless the receiver has read it to its end."""
        data = b"".join(framed(self._form.message(record)) for record in batch)
        try:
            with contextlib.closing(self._connect()) as connection:
                connection.sendall(data)
                self._end(connection)
        except (OSError, EgressBlockedError) as error:
            raise ForwardError(
                f"{self.name} has not read what was sent ({type(error).__name__}: {error}); it is "
                "sent again"
            ) from error

    def _end(self, connection: ssl.SSLSocket) -> None:
        try:
            connection.unwrap().close()
        except ssl.SSLEOFError as error:
            if not self._bare_close:
                raise ForwardError(
                    f"{self.name} closes without the close_notify by which it says that it has "
                    "read everything; take a receiver that does (rsyslog: driver ossl), or set "
                    "forward_bare_close; the records are sent again"
                ) from error

    def close(self) -> None:
        """Do nothing: no connection outlives its batch."""


def _token(text: str, longest: int) -> str:
    """Return a header field: printable ASCII without blanks, "-" for nothing."""
    return _UNPRINTABLE.sub("_", text)[:longest] or "-"


def _value(text: str) -> str:
    """Return a PARAM-VALUE, escaped. Source: RFC 5424, section 6.3.3."""
    return _SPECIAL.sub(r"\\\1", _CONTROL.sub(" ", text))
