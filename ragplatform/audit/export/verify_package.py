"""Checks an evidence package offline: python3 verify_package.py [FOLDER] [--key FILE]...

Needs Python 3.9 or newer and the package `cryptography`; shares no code with the platform. Give
--key for each verifier key that you hold from elsewhere: without one the keys inside the package
are believed, and whoever made the package could have made them too.

1. The manifest is signed by one of the keys, and names every file with its SHA-256.
2. Each log's checkpoint is signed by that log's key.
3. Each record's inclusion proof leads to the root that the checkpoint signs (RFC 9162, 2.1.3.2).
4. Each set of policies has the digest that records name it by.

Exit code 0: all good, 1: something does not fit, 2: it cannot be read or was called wrongly.
"""

import argparse
import base64
import hashlib
import itertools
import json
import re
import sys
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MANIFEST = "MANIFEST"


class Wrong(Exception):  # noqa: N818
    """Something in the package does not fit."""


def need(fits: bool, problem: str) -> None:
    """Raise unless it fits."""
    if not fits:
        raise Wrong(problem)


def unbase64(text: str) -> bytes:
    """Return the bytes of base64 text that is written in the one right way."""
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text, "base64 that is not written in the one right way")
    return raw


def parse_key(text: str) -> tuple[str, bytes, bytes]:
    """Return name, id and key of a verifier key. Source: C2SP signed-note."""
    match = re.fullmatch(r"([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)\n?", text)
    if match is None:
        raise Wrong("a key is no verifier key")
    name, body = match[1], unbase64(match[3])
    need(len(body) == 33 and body[0] == 1, f"the key {name} is not Ed25519")
    found = hashlib.sha256(name.encode() + b"\n" + body).digest()[:4]
    need(found.hex() == match[2], f"the key {name} does not fit its id")
    return name, found, body[1:]


def open_note(note: str, key: tuple[str, bytes, bytes], what: str, *, alone: bool) -> str:
    """Return the text of a note that the key signed, with or without further signatures."""
    text, mark, below = note.rpartition("\n\n")
    lines = below.split("\n")
    ours = [line for line in lines if line.startswith(f"— {key[0]} ")]
    need(mark != "" and lines[-1] == "" and len(ours) == 1, f"{what} is not signed by {key[0]}")
    need(not alone or len(lines) == 2, f"{what} has lines below its signature")
    need(
        all(line.startswith("— ") for line in lines[:-1]), f"{what} has a line that is no signature"
    )
    blob = unbase64(ours[0].split(" ")[2])
    need(blob[:4] == key[1], f"{what} is signed by another key than {key[0]}")
    try:
        Ed25519PublicKey.from_public_bytes(key[2]).verify(blob[4:], (text + "\n").encode())
    except InvalidSignature:
        raise Wrong(f"{what} was altered, or not signed by {key[0]}") from None
    return text + "\n"


def root_of(leaf: bytes, index: int, size: int, proof: "list[bytes]") -> bytes:
    """Return the root that a proof leads to. Source: RFC 9162, section 2.1.3.2."""
    need(0 <= index < size, f"record {index} is beyond the checkpoint")
    node, last = index, size - 1
    for step in proof:
        need(last > 0, f"the proof of record {index} is too long")
        if node & 1 or node == last:
            leaf = hashlib.sha256(b"\x01" + step + leaf).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            leaf = hashlib.sha256(b"\x01" + leaf + step).digest()
        node, last = node >> 1, last >> 1
    need(last == 0, f"the proof of record {index} is too short")
    return leaf


def check_manifest(folder: Path, keys: "dict[str, tuple[str, bytes, bytes]]") -> "list[str]":
    """Return the manifest's first lines, once it and all files fit."""
    note = (folder / MANIFEST).read_bytes().decode()
    signer = note.rstrip("\n").rpartition("\n")[2].split(" ")[1]
    need(signer in keys, f"the manifest is signed by {signer}, whose key is not here")
    lines = open_note(note, keys[signer], "the manifest", alone=True).split("\n")[:-1]
    need(lines[0] == "ragplatform evidence package v1", "the manifest is of no kind known here")
    listed = {line[66:]: line[:64] for line in lines if line[64:66] == "  "}
    there = {str(p.relative_to(folder).as_posix()) for p in folder.rglob("*") if not p.is_dir()}
    there = {name for name in there if "__pycache__" not in name} - {MANIFEST}
    need(there == set(listed), f"files missing or too many: {sorted(there ^ set(listed))}")
    for name, digest in sorted(listed.items()):
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        need(found == digest, f"{name} was altered")
    return [line for line in lines if line[64:66] != "  "]


def check_log(log: Path, key: "tuple[str, bytes, bytes]", tenant: str) -> str:
    """Return what to say of a log whose checkpoint, records and proofs fit."""
    note = (log / "checkpoint").read_bytes().decode()
    text = open_note(note, key, f"the checkpoint of {log.name}", alone=False)
    origin, size, root = text.split("\n")[:3]
    need(origin == key[0], f"the checkpoint in {log.name} is of {origin}")
    count, last = 0, -1
    with (log / "events.ndjson").open("rb") as events, (log / "proofs.ndjson").open() as proofs:
        for raw, proof in itertools.zip_longest(events, proofs):
            need(bool(raw) and bool(proof), f"{log.name} has not one proof for each record")
            line, step = raw[:-1], json.loads(proof)
            record: Any = json.loads(line)
            where = f"record {record['index']} of {log.name}"
            need(record["index"] == step["index"], f"the proof of {where} is of another")
            # A record given twice would stand in the count for one that was left out.
            need(last < step["index"], f"{where} is repeated or out of order")
            last = step["index"]
            need(tenant in {"*", record["tenant"]}, f"{where} is of another tenant")
            leaf = hashlib.sha256(b"\x00" + line).digest()
            path = [unbase64(item) for item in step["proof"]]
            found = root_of(leaf, step["index"], int(size), path)
            need(found == unbase64(root), f"{where} is not in the log that was signed")
            count += 1
    return f"{log.name}: {count} of {size} records, each proven to be in the log that was signed"


def check_policies(folder: Path) -> None:
    """Check that a set of policies has the digest that it is named by."""
    first = "schema.cedarschema"
    names = sorted(path.name for path in folder.iterdir())
    digest = hashlib.sha256()
    for name in [first] + [name for name in names if name != first]:
        data = (folder / name).read_bytes()
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    need(digest.hexdigest() == folder.name, f"the policies {folder.name[:12]} are others")


def check(folder: Path, trusted: "list[Path]") -> "list[str]":
    """Return what was found good, line by line. Raises when something does not fit."""
    keys = {}
    for path in sorted((folder / "keys").iterdir()):
        key = parse_key(path.read_bytes().decode())
        keys[key[0]] = key
    for path in trusted:
        key = parse_key(path.read_text("utf-8"))
        need(keys.get(key[0]) == key, f"the key of {key[0]} is not the one that you hold")
    head = check_manifest(folder, keys)
    tenant = next(line[7:] for line in head if line.startswith("tenant "))
    logs = sorted((folder / "logs").iterdir()) if (folder / "logs").is_dir() else []
    found = []
    for log in logs:
        key = parse_key((folder / "keys" / f"{log.name}.pub").read_bytes().decode())
        found.append(check_log(log, key, tenant))
    policies = folder / "policies"
    sets = sorted(policies.iterdir()) if policies.is_dir() else []
    for one in sets:
        check_policies(one)
    believed = sorted(set(keys) - {parse_key(path.read_text("utf-8"))[0] for path in trusted})
    found += [f"policies {one.name}: as the records name them" for one in sets]
    return found + [f"key {name}: not compared with one that you hold" for name in believed]


def main(arguments: "list[str]") -> int:
    """Check the package and say what was found."""
    parser = argparse.ArgumentParser(description="Check an evidence package offline.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    parser.add_argument("--key", action="append", type=Path, default=[], help="a key you hold")
    given = parser.parse_args(arguments)
    if not (given.folder / MANIFEST).is_file():
        sys.stdout.write(
            f"unreadable: {given.folder} holds no {MANIFEST}: unzip the package first" + "\n"
        )
        return 2
    try:
        lines = check(given.folder, given.key)
    except (Wrong, LookupError, RecursionError, StopIteration, TypeError, ValueError) as error:
        sys.stdout.write(f"FAILED: {error}" + "\n")
        return 1
    except FileNotFoundError as error:
        sys.stdout.write(f"FAILED: {error.filename} is missing" + "\n")
        return 1
    except OSError as error:
        sys.stdout.write(f"unreadable: {error}" + "\n")
        return 2
    sys.stdout.write("\n".join([*lines, "ok: everything in this package fits"]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
