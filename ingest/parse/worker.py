"""The parser's side of the sandbox: a stem process that forks one child for each document.

The stem imports the parsers, walls itself in and never sees a document's byte. Each child gets the
ends of two fresh pipes, and nothing of any other document: what a hostile file may take over is one
short-lived process that holds only that file.
"""

import gc
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Final, TypeAlias

from ingest.parse import confine, ocr
from ingest.parse.document import ParsedDocument
from ingest.parse.interchange import split
from ingest.parse.unpack import Allowance, unpack
from ingest.parse.wire import encode_document, encode_failure, encode_opened, encode_parts
from ragplatform.errors import QuarantinedError

Parse: TypeAlias = Callable[[bytes, str, int], ParsedDocument]

_BLOCK: Final = 1 << 20


def main(control_fd: int, parent: int, parser: str) -> None:
    """Serve documents that arrive over the control socket until it closes."""
    confine.die_with_parent(parent)
    os.setsid()
    parse = _load(parser)
    isolation = confine.wall_in()
    # A change of rights makes the kernel forget the wish.
    confine.die_with_parent(parent)
    # One child finds out whether the filter would stand; the stem itself must be able to fork.
    if _try_filter():
        network = "seccomp" if isolation.network == "audit_hook" else isolation.network
        isolation = replace(isolation, syscalls="seccomp", network=network)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=control_fd) as control:
        control.send(json.dumps(asdict(isolation)).encode())
        while _serve(control, parse):
            pass


def _load(parser: str) -> Parse:
    module, _, name = parser.partition(":")
    if module == ocr.USED_BY:
        ocr.preload()
    parse: Parse = getattr(importlib.import_module(module), name)
    return parse


def _try_filter() -> bool:
    child = os.fork()
    if child == 0:
        os._exit(0 if confine.forbid_system_calls() else 1)
    return os.waitpid(child, 0)[1] == 0


def _serve(control: socket.socket, parse: Parse) -> bool:
    """Have one document parsed and report how its child ended; False when there are no more."""
    order, handles, _, _ = socket.recv_fds(control, 64 * 1024, 2)
    if len(handles) != 2:
        return False
    stem = os.getpid()
    child = os.fork()
    if child == 0:
        control.close()
        _child(stem, json.loads(order), handles[0], handles[1], parse)
    for handle in handles:
        os.close(handle)
    _, status = os.waitpid(child, 0)
    control.send(str(os.waitstatus_to_exitcode(status)).encode())
    return True


def _child(stem: int, order: dict[str, object], source: int, sink: int, parse: Parse) -> None:
    """Parse one document and end the process, whatever happens."""
    code = 1
    try:
        confine.die_with_parent(stem)
        name, timeout = str(order["name"]), float(str(order["timeout_s"]))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, timeout)
        confine.restrict_files()
        confine.limit_resources(
            memory_bytes=int(str(order["memory_bytes"])), cpu_s=int(timeout) + 2
        )
        confine.forbid_system_calls()
        confine.add_tripwire()
        answer = _guarded(lambda: _act(parse, order, name, _read_all(source)))
        _write_all(sink, answer)
        code = 0
    finally:
        # Never back into the stem's loop, and no clean-up that a hostile document could have set.
        os._exit(code)


def _act(parse: Parse, order: dict[str, object], name: str, data: bytes) -> bytes:
    """Return the parsed document, or how the file is to be cut, or what lies in it."""
    if order["task"] == "split":
        return encode_parts(split(data, name))
    if order["task"] == "unpack":
        allowance = Allowance(int(str(order["members"])), int(str(order["total"])))
        return encode_opened(unpack(data, name, allowance))
    return encode_document(parse(data, name, int(str(order["max_chars"]))))


def _guarded(act: Callable[[], bytes]) -> bytes:
    try:
        return act()
    except QuarantinedError as error:
        return encode_failure(error.reason, str(error))
    except MemoryError:
        return encode_failure("resource_limit", "the document needs more memory than allowed")
    except RecursionError:
        return encode_failure("resource_limit", "the document is nested too deeply")


def _read_all(source: int) -> bytes:
    blocks = []
    while block := os.read(source, _BLOCK):
        blocks.append(block)
    return b"".join(blocks)


def _write_all(sink: int, answer: bytes) -> None:
    rest = memoryview(answer)
    while rest:
        rest = rest[os.write(sink, rest) :]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
