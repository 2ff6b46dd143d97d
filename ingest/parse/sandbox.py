"""Parsing where it can do no harm: another process, walled in, one document at a time."""

import contextlib
import importlib.metadata
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from ingest.parse import wire
from ingest.parse.confine import Isolation
from ingest.parse.document import ParsedDocument, Part
from ingest.parse.unpack import Allowance, Opened
from ragplatform.errors import ParseError, UnavailableError

PARSER: Final = "ingest.parse.route:parse"
# Changes whenever the same bytes could give another text, page or label; the libraries' versions
# are added.
_PARSERS: Final = "3"
_LIBRARIES: Final = (
    *("pypdfium2", "python-docx", "lxml", "selectolax", "charset-normalizer"),
    *("python-calamine", "olefile", "compressed-rtf", "pydicom"),
)
# Without it, pictures are put aside; with it, the same bytes have text.
_OCR: Final = "rapidocr"
_ROOT: Final = Path(__file__).resolve().parents[2]
# The stem runs isolated (-I): no environment, no user site, no current folder on its path.
_LAUNCH: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from ingest.parse.worker import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])"
)
_START_S: Final = 60.0
_GRACE_S: Final = 2.0
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may cost. ``max_chars`` bounds its text, ``memory_bytes`` its process."""

    max_bytes: int = 256 * 1024 * 1024
    max_chars: int = 32 * 1024 * 1024
    memory_bytes: int = 2 * 1024 * 1024 * 1024
    timeout_s: float = 60.0


class Sandbox:
    """Parses documents in a limited process without network or files; fulfils ``job.Parser``.

    A document that crashes, hangs or overspends takes only itself. Nothing starts before the first
    ``parse``. Use it from several threads if you like: they take turns.
    """

    def __init__(self, *, limits: Limits, parser: str = PARSER) -> None:
        """``parser`` names the function, ``module:name``, that the process calls."""
        self._limits = limits
        self._parser = parser
        self._stem: _Stem | None = None
        self._walls = ""
        self._turn = threading.Lock()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def version(self) -> str:
        """A word that changes whenever the same bytes could give another text."""
        versions = (f"{name}={importlib.metadata.version(name)}" for name in _LIBRARIES)
        return ",".join(
            (_PARSERS, *versions, f"ocr={_ocr_version()}", f"max_chars={self._limits.max_chars}")
        )

    @property
    def isolation(self) -> Isolation:
        """Which walls stand here; starts the process if it is not running."""
        with self._turn:
            return self._running().isolation

    @property
    def walls(self) -> str:
        """Which walls stood around what was parsed here last; "" before the first."""
        return self._walls

    def parse(self, data: bytes, name: str) -> ParsedDocument:
        """Return the document's text and structure.

        ``name`` serves only for its suffix. Raises ``ParseError`` with one of ``document.REASONS``,
        and ``UnavailableError`` when no process can be started at all.
        """
        answer = self._ask(data, name, "parse", {"max_chars": self._limits.max_chars})
        document = wire.decode(answer)
        if len(document.text) > self._limits.max_chars:
            raise ParseError(
                "resource_limit", f"the text exceeds {self._limits.max_chars} characters"
            )
        return document

    def split(self, data: bytes, name: str) -> tuple[Part, ...]:
        """Return each subject's share of a file about several; empty for one that stays whole.

        Raises as ``parse`` does.
        """
        if not data or len(data) > self._limits.max_bytes:
            return ()
        answer = self._ask(data, name, "split", {"max_chars": self._limits.max_chars})
        return wire.decode_parts(answer, len(data))

    def unpack(self, data: bytes, name: str, allowance: Allowance) -> Opened:
        """Return the documents that lie in the file: see ``unpack.unpack``.

        Raises ``ParseError`` and ``UnavailableError`` as ``parse`` does.
        """
        order = {"members": allowance.members, "total": allowance.total}
        return wire.decode_opened(self._ask(data, name, "unpack", order))

    def _ask(self, data: bytes, name: str, task: str, bounds: dict[str, int]) -> bytes:
        if not data:
            raise ParseError("empty", "the file holds nothing")
        if len(data) > self._limits.max_bytes:
            raise ParseError("too_large", f"{len(data)} bytes, allowed {self._limits.max_bytes}")
        # JSON writes a character in at most 6 bytes; pages, headings and paths need some more.
        most = bounds.get("max_chars", 0) * 6 + bounds.get("total", 0)
        most += bounds.get("members", 0) * 4096 + _BLOCK
        with self._turn:
            stem = self._running()
            try:
                return stem.ask(data, Path(name).name, {"task": task, **bounds}, self._limits, most)
            except _StemLostError as error:
                self._drop()
                raise ParseError(error.reason, "the parser's process was stopped") from error
            except BaseException as error:
                # An interrupt in mid-document leaves the conversation with the stem undefined.
                if not isinstance(error, ParseError):
                    self._drop()
                raise

    def close(self) -> None:
        """Stop the process. Calling it again does nothing; the next ``parse`` starts another."""
        with self._turn:
            self._drop()

    def _running(self) -> "_Stem":
        # The kernel kills the stem when the thread that started it ends, so it is not handed on.
        if self._stem is not None and not self._stem.usable:
            self._drop()
        if self._stem is None:
            self._stem = _Stem(self._parser)
            self._walls = str(self._stem.isolation)
        return self._stem

    def _drop(self) -> None:
        stem, self._stem = self._stem, None
        if stem is not None:
            stem.kill()


def _ocr_version() -> str:
    try:
        return importlib.metadata.version(_OCR)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _suffixes(name: str) -> str:
    """Return the last two suffixes, which say what is compressed; the stem may name a person."""
    last = Path(name).suffix[:16]
    inner = Path(Path(name).stem).suffix[:16]
    return f"{inner}{last}" if last.lower() in {".gz", ".bz2", ".xz"} else last


class _StemLostError(Exception):
    """The process with the stem must go: it hangs or is gone."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Stem:
    """One running stem process and the socket to it."""

    def __init__(self, parser: str) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        self._thread = threading.get_ident()
        arguments = [str(_ROOT), str(theirs.fileno()), str(os.getpid()), parser]
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-c", _LAUNCH, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env={"LANG": "C.UTF-8", "PATH": os.defpath},
                    cwd="/",
                )
        except OSError as error:
            ours.close()
            raise UnavailableError("the parser's process cannot be started") from error
        try:
            self.isolation = self._greeting()
        except BaseException:
            self.kill()
            raise

    @property
    def usable(self) -> bool:
        """Whether the next document may be given to it from this thread."""
        return self._thread == threading.get_ident() and self._process.poll() is None

    def _greeting(self) -> Isolation:
        self._control.settimeout(_START_S)
        try:
            greeting = self._control.recv(4096)
        except OSError as error:
            raise UnavailableError("the parser's process did not start in time") from error
        if not greeting:
            raise UnavailableError("the parser's process ended before it was ready")
        return Isolation(**json.loads(greeting))

    def ask(
        self, data: bytes, name: str, wanted: dict[str, str | int], limits: Limits, most: int
    ) -> bytes:
        """Hand one document over and return its child's answer, of ``most`` bytes."""
        deadline = time.monotonic() + limits.timeout_s + _GRACE_S
        order = {
            "name": f"document{_suffixes(name)}",
            "timeout_s": limits.timeout_s,
            "memory_bytes": limits.memory_bytes,
            **wanted,
        }
        with _Pipes() as pipes:
            try:
                socket.send_fds(self._control, [json.dumps(order).encode()], pipes.theirs)
            except OSError as error:
                raise _StemLostError("crashed") from error
            pipes.close_theirs()
            answer = pipes.exchange(data, deadline, most)
        self._check_end(deadline)
        return answer

    def _check_end(self, deadline: float) -> None:
        """Raise the ``ParseError`` that fits how the child ended, unless it ended well."""
        self._control.settimeout(max(deadline - time.monotonic(), 0.1))
        try:
            code = int(self._control.recv(64) or b"999")
        except TimeoutError as error:
            raise _StemLostError("timeout") from error
        except (OSError, ValueError) as error:
            raise _StemLostError("crashed") from error
        if code == 999:
            raise _StemLostError("crashed")
        if code == -signal.SIGALRM:
            raise ParseError("timeout", "parsing took longer than allowed")
        if code in {-signal.SIGXCPU, -signal.SIGKILL}:
            # Without a hand of ours, SIGKILL is the kernel's answer to too much memory or CPU time.
            raise ParseError("resource_limit", "the parser used more than allowed")
        if code:
            raise ParseError("crashed", f"the parser's process ended with {code}")

    def kill(self) -> None:
        """End the stem and every child of it, and wait until they are gone."""
        self._control.close()
        # It leads its own session, so this cannot hit anybody else.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(self._process.pid) == self._process.pid:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()


class _Pipes:
    """Two fresh pipes for one document: its bytes go in, the answer comes out."""

    def __init__(self) -> None:
        self._source, self._feed = os.pipe()
        self._drain, self._sink = os.pipe()
        os.set_blocking(self._feed, False)
        os.set_blocking(self._drain, False)
        self._open = {self._source, self._feed, self._drain, self._sink}

    def __enter__(self) -> "_Pipes":
        return self

    def __exit__(self, *_: object) -> None:
        for handle in tuple(self._open):
            self._close(handle)

    @property
    def theirs(self) -> list[int]:
        """The ends for the parser: where it reads, where it writes."""
        return [self._source, self._sink]

    def close_theirs(self) -> None:
        """Close the parser's ends here, so that its end is seen as the end of the answer."""
        self._close(self._source)
        self._close(self._sink)

    def _close(self, handle: int) -> None:
        if handle in self._open:
            self._open.discard(handle)
            os.close(handle)

    def exchange(self, data: bytes, deadline: float, max_answer: int) -> bytes:
        """Feed the data and return the answer, both at once, until the deadline.

        Raises ``_StemLostError``: ``timeout``, or ``resource_limit`` for too long an answer.
        """
        rest, size = memoryview(data), 0
        blocks: list[bytes] = []
        poll = select.poll()  # select itself fails on handles above 1,023
        poll.register(self._drain, select.POLLIN)
        poll.register(self._feed, select.POLLOUT)
        while True:
            left = max(deadline - time.monotonic(), 0)
            ready = {handle for handle, _ in poll.poll(left * 1000)}
            if not ready:
                raise _StemLostError("timeout")
            if self._feed in ready:
                rest = self._feed_some(rest)
                if not rest:
                    poll.unregister(self._feed)
                    self._close(self._feed)
            if self._drain in ready:
                block = os.read(self._drain, _BLOCK)
                if not block:
                    return b"".join(blocks)
                blocks.append(block)
                size += len(block)
                if size > max_answer:
                    raise _StemLostError("resource_limit")

    def _feed_some(self, rest: memoryview) -> memoryview:
        try:
            return rest[os.write(self._feed, rest[:_BLOCK]) :]
        except BrokenPipeError:
            # The child has seen enough: its answer, or its end, says why.
            return rest[:0]
        except BlockingIOError:
            return rest
