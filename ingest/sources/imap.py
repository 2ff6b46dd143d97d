"""Mailboxes on an IMAP server as a source: each message is a mail file, never marked as read."""

import email
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.utils import getaddresses
from fnmatch import fnmatchcase
from typing import Final

from ingest.sources.imap_wire import FolderState, Imap, Mail, MailFolder
from ingest.sources.port import Entries, Found, Gone, Listing, too_large
from ragplatform.errors import MovedOnError, SourceError, UnreadableError

# Who a mail is from and to, and no more of it, is looked at before it is read.
_LONGEST_HEADERS: Final = 16 * 1024
_LISTED: Final = (
    "(UID RFC822.SIZE INTERNALDATE FLAGS "
    f"BODY.PEEK[HEADER.FIELDS (FROM TO CC)]<0.{_LONGEST_HEADERS}>)"
)
_WINDOW: Final = 2_000
_WIDEST_WINDOW: Final = 8_000
_FEW: Final = 500
_LISTING_ROOM: Final = _WIDEST_WINDOW * (_LONGEST_HEADERS + 1024)
_MOST_GONE: Final = 10_000_000
_MOST_FOLDERS: Final = 100_000
_MOST_FACTS: Final = 200


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where each mailbox stood, by a digest of its name: names of mailboxes may name people."""

    states: Mapping[str, FolderState]

    @classmethod
    def read(cls, text: str) -> "_Cursor | None":
        try:
            rows = json.loads(text)
            return cls({key: FolderState(*map(int, row)) for key, row in rows.items()})
        except (ValueError, TypeError, AttributeError):
            return None

    def __str__(self) -> str:
        rows = {k: [s.uidvalidity, s.uidnext, s.modseq] for k, s in self.states.items()}
        return json.dumps(rows, sort_keys=True)


class Mailboxes:
    """The messages of the mailboxes whose names a pattern takes."""

    def __init__(self, *, connect: Callable[[], Imap], folders: tuple[str, ...]) -> None:
        self._connect = connect
        self._patterns = folders
        self._session: Imap | None = None
        self._folders: dict[str, MailFolder] = {}
        self._open: tuple[str, int] | None = None
        self._told_gone = 0

    def list(self, cursor: str) -> Listing:
        """Return the messages. Facts: folder, from, to, cc, keyword.

        Changes alone are listed where the server tells which messages are no more (QRESYNC) and
        every mailbox is still the one that it was.
        """
        self.close()
        self._told_gone = 0
        imap = self._imap()
        states = self._states(imap)
        known = _Cursor.read(cursor)
        if known and not (imap.tells_vanished and _are_the_same(known.states, states)):
            known = None
        return Listing(self._entries(states, known), complete=known is None)

    def _imap(self) -> Imap:
        if self._session is None:
            self._session = self._connect()
            self._folders = {}
            for folder in self._session.folders():
                if any(fnmatchcase(folder.name, pattern) for pattern in self._patterns):
                    self._folders[folder.name] = folder
            if len(self._folders) > _MOST_FOLDERS:
                raise SourceError(f"the IMAP server has over {_MOST_FOLDERS:,} mailboxes")
        return self._session

    def _states(self, imap: Imap) -> dict[str, FolderState]:
        found = {name: imap.state(folder) for name, folder in sorted(self._folders.items())}
        return {name: state for name, state in found.items() if state is not None}

    def _entries(self, states: Mapping[str, FolderState], known: _Cursor | None) -> Entries:
        for name, state in states.items():
            before = known.states.get(_digest(name)) if known else None
            if before == state and state.modseq:
                continue
            yield from self._of_folder(name, state, before)
        return str(_Cursor({_digest(name): state for name, state in states.items()}))

    def _of_folder(
        self, name: str, state: FolderState, before: FolderState | None
    ) -> Iterator[Found | Gone]:
        """Yield a mailbox's messages, or what changed in it, in windows of numbers."""
        first, window = 1, _WINDOW
        since = before.modseq if before else 0
        while first < state.uidnext:
            last = min(first + window, state.uidnext) - 1
            # Whoever takes what we yield may read a message of another mailbox in between.
            self._opened(name, state.uidvalidity)
            told = self._imap().fetch(f"{first}:{last}", _LISTED, room=_LISTING_ROOM, since=since)
            inside = {mail.uid: mail for mail in told.found if first <= mail.uid <= last}
            yield from (_found(name, state.uidvalidity, mail) for mail in inside.values())
            if before:
                yield from self._gone(name, before, told.vanished, first, last)
            first = last + 1
            window = min(window * 4, _WIDEST_WINDOW) if len(inside) < _FEW else _WINDOW

    def _gone(
        self,
        name: str,
        before: FolderState,
        vanished: tuple[tuple[int, int], ...],
        first: int,
        last: int,
    ) -> Iterator[Gone]:
        """Yield the messages of a window that are no more, of those that there once were."""
        for low, high in vanished:
            for uid in range(max(low, first), min(high, last, before.uidnext - 1) + 1):
                self._told_gone += 1
                if self._told_gone > _MOST_GONE:
                    raise SourceError("the IMAP server tells too many messages to be gone")
                yield Gone(_name(name, before.uidvalidity, uid))

    def _opened(self, name: str, uidvalidity: int) -> None:
        """Open a mailbox, if it is not open. Raises ``SourceError`` when it is another by now."""
        imap = self._imap()
        if self._open == (name, uidvalidity):
            return
        self._open = None
        if name not in self._folders or imap.open(self._folders[name]) != uidvalidity:
            raise _ReplacedError("a mailbox was replaced or removed after it was listed")
        self._open = (name, uidvalidity)

    def read(self, found: Found, limit: int) -> bytes:
        """Return the message. Its number is never given to another one of the same mailbox."""
        folder, _, last = found.name.rpartition("/")
        validity, _, uid = last.removesuffix(".eml").partition("-")
        if not (validity.isdigit() and uid.isdigit()):
            raise UnreadableError("this is no name of a message")
        try:
            mail = self._fetched(folder, int(validity), int(uid), limit)
        except _ReplacedError as error:
            raise MovedOnError("the mailbox of the message is no more") from error
        except SourceError:
            # A server ends sessions that were quiet for a while.
            self.close()
            try:
                mail = self._fetched(folder, int(validity), int(uid), limit)
            except _ReplacedError as error:
                raise MovedOnError("the mailbox of the message is no more") from error
        if mail is None or mail.body is None:
            raise MovedOnError("the message is no more")
        if len(mail.body) > limit:
            raise too_large(limit)
        return mail.body

    def _fetched(self, folder: str, validity: int, uid: int, limit: int) -> Mail | None:
        self._opened(folder, validity)
        self._imap().refresh()
        # One byte over the limit is asked for, to know that there is more.
        what = f"(UID BODY.PEEK[]<0.{limit + 1}>)"
        told = self._imap().fetch(str(uid), what, room=limit + 64 * 1024)
        return next((mail for mail in told.found if mail.uid == uid and mail.body), None)

    def close(self) -> None:
        """End the session; the next call begins another."""
        self._open = None
        if self._session is not None:
            self._session.close()
            self._session = None


class _ReplacedError(SourceError):
    """A mailbox is not the one that it was."""


def _are_the_same(before: Mapping[str, FolderState], now: Mapping[str, FolderState]) -> bool:
    """Return whether every mailbox that was known is still there, counts changes, and is itself."""
    digests = {_digest(name): state for name, state in now.items()}
    return all(
        key in digests
        and digests[key].uidvalidity == state.uidvalidity
        and min(digests[key].modseq, state.modseq) > 0
        for key, state in before.items()
    )


def _found(folder: str, validity: int, mail: Mail) -> Found:
    facts, unread = _facts(folder, mail)
    return Found(
        name=_name(folder, validity, mail.uid),
        # A message never changes; what changes about it are its flags.
        version=f"{validity}-{mail.uid}",
        size=mail.size,
        modified=_when(mail.date),
        facts=facts,
        unread=unread,
    )


def _name(folder: str, validity: int, uid: int) -> str:
    return f"{folder}/{validity}-{uid}.eml"


def _facts(folder: str, mail: Mail) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return what mapping rules may look at, and why that is not all."""
    facts = [("folder", folder)]
    facts += [("keyword", word) for word in mail.keywords]
    if mail.body is None or len(mail.body) >= _LONGEST_HEADERS:
        return tuple(facts), "the server does not tell from and to whom it is, or too much of it"
    message = email.message_from_bytes(mail.body, policy=policy.compat32)
    for header in ("from", "to", "cc"):
        values = [str(value) for value in message.get_all(header) or []]
        facts += [(header, address.lower()) for _, address in getaddresses(values) if address]
    if len(facts) > _MOST_FACTS:
        return tuple(facts[:1]), "it is from or to too many"
    return tuple(facts), ""


def _when(date: str) -> str:
    """Return when the server received it. Source: RFC 3501, date-time."""
    try:
        at = datetime.strptime(date.strip(), "%d-%b-%Y %H:%M:%S %z")
    except ValueError:
        return ""
    return at.astimezone(UTC).isoformat()


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:24]
