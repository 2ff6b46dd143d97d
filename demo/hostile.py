"""Files that must end in quarantine, under innocent names. None of them can do harm as it lies."""

import base64
import hashlib
import io
import textwrap
import zipfile
from collections.abc import Callable, Mapping
from types import MappingProxyType

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
# 120 MiB of spaces deflate to about 120 kB: a ratio of 1,000, where an honest DOCX has about 10.
_BOMB_MIB = 120
_MIB = b" " * 1024 * 1024
# The pair that its maker prints in its manuals; in halves, so that no scanner takes alarm here.
_KIND = "RSA PRIVATE KEY"
_KEY_ID = "AKIA" + "IOSFODNN7EXAMPLE"
_KEY = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"


def archive_bomb() -> bytes:
    """Return a DOCX whose one part of text unpacks to 120 MiB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(zipfile.ZipInfo("[Content_Types].xml", _ZIP_EPOCH), _CONTENT_TYPES)
        archive.writestr(zipfile.ZipInfo("_rels/.rels", _ZIP_EPOCH), _RELATIONS)
        entry = zipfile.ZipInfo("word/document.xml", _ZIP_EPOCH)
        entry.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(entry, "w") as part:
            part.write(_DOCUMENT_HEAD)
            for _ in range(_BOMB_MIB):
                part.write(_MIB)
            part.write(b"</w:t></w:r></w:p></w:body></w:document>")
    return out.getvalue()


def leaked_secrets() -> bytes:
    """Return notes with a private key block and API credentials.

    The key is a hash chain that merely looks like a key. The cloud credentials are the pair that
    its maker publishes for documentation.
    """
    chain = b"".join(hashlib.sha256(b"not a key %d" % number).digest() for number in range(37))
    body = textwrap.fill(base64.b64encode(b"\x30\x82\x04\xa4\x02\x01\x00" + chain).decode(), 64)
    block = f"-----BEGIN {_KIND}-----\n{body}\n-----END {_KIND}-----"
    return _NOTES.format(block=block, key_id=_KEY_ID, secret=_KEY).encode()


def disguised_program() -> bytes:
    """Return the bare header of a Windows program, with no code behind it."""
    stub = b"MZ" + bytes(58) + (64).to_bytes(4, "little")
    return stub + b"PE\0\0" + bytes(188) + b"This program cannot be run in DOS mode.\r\n$"


_CONTENT_TYPES = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    b'<Default Extension="rels" '
    b'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    b'<Override PartName="/word/document.xml" ContentType="application/'
    b'vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
_RELATIONS = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    b'<Relationship Id="rId1" Target="word/document.xml" Type="http://schemas.openxmlformats.org/'
    b'officeDocument/2006/relationships/officeDocument"/></Relationships>'
)
_DOCUMENT_HEAD = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    b'<w:body><w:p><w:r><w:t xml:space="preserve">Guide for visitors'
)
_NOTES = """Printer setup, ground floor

1. Plug the label printer into the left port. The right one charges only.
2. Paper with the shiny side down. If it prints nothing at all, the roll is upside down.
3. The print server asks for its key once a year. I keep forgetting where I put it, so here:

{block}

4. Nightly upload of the job list, in case the scheduled task has to be set up again:

aws_access_key_id = {key_id}
aws_secret_access_key = {secret}

5. If the green lamp blinks three times, turn it off, count to ten, turn it on.
"""

HOSTILE: Mapping[str, Callable[[], bytes]] = MappingProxyType(
    {
        "mercy/inbox/visitor-guide-final.docx": archive_bomb,
        "mercy/inbox/printer-setup-notes.txt": leaked_secrets,
        "harbor/inbox/branch-opening-hours.pdf": disguised_program,
    }
)

SECRETS_FILE = "mercy/inbox/printer-setup-notes.txt"
PLANTED_SECRETS: tuple[str, ...] = (f"-----BEGIN {_KIND}-----", _KEY_ID, _KEY)
