"""Clients that ask the API over HTTP, many at once in one process, and cost it little."""

import asyncio
import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from bench._setting import Deployment, percentile, questions

_LENGTH = re.compile(rb"content-length: *(\d+)", re.I)
_RETRY = re.compile(rb"retry-after: *(\d+)", re.I)
_TICKS = 100
OK = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a server: ``first_s`` and ``total_s`` to its first and last byte."""

    status: int
    body: bytes
    first_s: float
    total_s: float
    retry_after_s: int | None = None


class Connection:
    """One connection to a server of loopback, opened again when it is closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, body: object, key: str = "") -> Reply:
        """Send one request and read its answer to the end."""
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        try:
            return await self._exchange(head.encode() + data)
        except (ConnectionError, asyncio.IncompleteReadError):
            # A server closes what was idle for some seconds, perhaps just now.
            self.close()
            return await self._exchange(head.encode() + data)

    async def _exchange(self, request: bytes) -> Reply:
        began = time.perf_counter()
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        reader = self._reader
        self._writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        first = time.perf_counter() - began
        if length := _LENGTH.search(head):
            body = await reader.readexactly(int(length[1]))
        else:
            body = await _chunked(reader)
        retry = _RETRY.search(head)
        if b"connection: close" in head.lower():
            self.close()
        return Reply(
            status=int(head.split(b" ", 2)[1]),
            body=body,
            first_s=first,
            total_s=time.perf_counter() - began,
            retry_after_s=int(retry[1]) if retry else None,
        )

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(parts)


@dataclass
class Heard:
    """What all clients were told."""

    seconds: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    no_retry_after: int = 0

    def note(self, reply: Reply, *, stream: bool) -> None:
        """Count one answer; the times of those that were answers."""
        self.statuses[reply.status] += 1
        if reply.status != OK:
            self.no_retry_after += reply.retry_after_s is None
            return
        if stream and not (b"event: final" in reply.body and b"event: error" not in reply.body):
            self.broken += 1
        self.seconds.append(reply.total_s)
        self.first_s.append(reply.first_s)

    def row(self) -> dict[str, Any]:
        """Return the percentiles in milliseconds, and what else came."""
        return {
            "answers": len(self.seconds),
            **{f"p{one}_ms": ms(self.seconds, one) for one in (50, 95, 99)},
            "statuses": {str(status): n for status, n in sorted(self.statuses.items())},
            "broken_streams": self.broken,
        }


def ms(values: Sequence[float], percent: int) -> float:
    """Return a percentile in milliseconds, 0 of nothing."""
    return round(percentile(values, percent) * 1000, 1) if values else 0.0


class Asker:
    """One client of one persona, which asks its questions in turn."""

    def __init__(self, port: int, deployment: Deployment, persona: str, start: int = 0) -> None:
        self._connection = Connection(port)
        self._key = deployment.keys[persona]
        self._questions = questions([persona])
        self.persona = persona
        self._next = start

    async def ask(self, more: Mapping[str, Any]) -> tuple[dict[str, Any], Reply]:
        """Ask the next question; return it with the answer."""
        one = self._questions[self._next % len(self._questions)]
        self._next += 1
        body = {"question": one["question"], "purpose": one["purpose"], **more}
        return one, await self._connection.post("/v1/ask", body, self._key)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Cost:
    """What a process spends of the processor while the block runs, and what memory it has."""

    def __init__(self, pid: int) -> None:
        self._stat = Path(f"/proc/{pid}/stat")
        self._status = Path(f"/proc/{pid}/status")
        self.cpu_s = 0.0

    def __enter__(self) -> Self:
        self._began = self._spent()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.cpu_s = self._spent() - self._began

    def memory_mb(self) -> float:
        """Return the memory that is the process's own."""
        lines = self._status.read_text(encoding="ascii").splitlines()
        named = dict(line.split(":", 1) for line in lines)
        return int(named["RssAnon"].split()[0]) / 1024

    def _spent(self) -> float:
        behind = self._stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(behind[11]) + int(behind[12])) / _TICKS
