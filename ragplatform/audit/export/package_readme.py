"""The instructions that lie in an evidence package, for somebody who has nothing else of ours."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ragplatform.audit.export.selection import Selection
from ragplatform.audit.record import canonical, stamp


@dataclass(frozen=True, slots=True)
class Packaged:
    """What went into a package, and what of it there was none.

    ``policies`` and ``lost`` are digests of policies of which a copy is in it, or none was kept;
    ``absent`` says of how many of a log's first records an archive holds the lines.
    """

    records: int
    policies: tuple[str, ...]
    lost: tuple[str, ...]
    absent: Mapping[str, int]


def readme(selection: Selection, signed_by: str, done: Packaged) -> str:
    """Return how to check the package offline, in Markdown."""
    asked = canonical(selection.said()).decode()
    whose = f"the tenant `{selection.tenant}`" if selection.tenant else "the whole deployment"
    absent = [f"- `{log}`: the first {count} records" for log, count in done.absent.items()]
    return _TEXT.format(
        whose=whose,
        records=done.records,
        moment=stamp(selection.until),
        asked=asked,
        signed_by=signed_by,
        policies=_listed(f"- `policies/{digest}/`" for digest in done.policies),
        missing=_listed(f"- `{digest}`: no copy was kept" for digest in done.lost),
        absent=_listed(absent),
    )


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(lines) or "- none"


_TEXT = """\
# Evidence from an audit log

{records} records of {whose}, as the log stood at {moment}. Chosen by: `{asked}`.

## Check it

You need Python 3.9 or newer with the package `cryptography` (Debian: `python3-cryptography`), and
no network. In the folder that you unzipped into:

```sh
python3 verify_package.py
grep -E '^[0-9a-f]{{64}}  ' MANIFEST | sha256sum --check --quiet
```

The first command ends with `ok` and exit code 0 when everything fits; otherwise it names what does
not. The second compares the files with the manifest without any program of ours.

## Believe the keys

The signatures are worth what the keys are worth. `keys/` holds them, but whoever made this package
could have put others there. Take the keys from somewhere else: the auditor's file of last year, a
witness, a notary. Then name each:

    python3 verify_package.py --key held/{signed_by}.pub

Do not take the verifier's word either: `verify_package.py` is under 250 lines of Python to read,
and the formats below are public, so that you can write your own.

## What is here

- `MANIFEST`: every file with its SHA-256, signed by the log `{signed_by}`, in which this export is
  recorded. A signed note (https://c2sp.org/signed-note).
- `logs/ORIGIN/events.ndjson`: the records, one a line, byte for byte as they stand in the log. The
  leaf hash of a record is SHA-256 over a zero byte and the line without its line feed.
- `logs/ORIGIN/proofs.ndjson`: for each record the hashes that lead from its leaf hash to the root,
  from the leaf upwards, in base64 (RFC 9162, section 2.1.3).
- `logs/ORIGIN/checkpoint`: the state that the proofs lead to: origin, number of records, root;
  signed (https://c2sp.org/tlog-checkpoint). Further signatures are those of witnesses.
- `logs/ORIGIN/checkpoint.cosigned`, where there is one: what witnesses signed.
- `logs/ORIGIN/checkpoint.stamped` and `checkpoint.tsr`, where there are any: a state of the log,
  and the time-stamp (RFC 3161) over that file:
  `openssl ts -verify -data checkpoint.stamped -in checkpoint.tsr -CAfile AUTHORITY.pem`.
- `keys/ORIGIN.pub`: the public keys. No secret key is here.
- `verify_audit.py`: checks a whole log, or a file that `ragplatform audit prove` made, in case you
  are shown one. It too stands alone, and needs Python 3.10.
- `policies/DIGEST/`: the policies that the records name, as they were in force. The digest is
  SHA-256 over each file, the schema first, then by name: name, zero byte, length, zero byte, text.

Policies here:

{policies}

Policies that records name and of which there is no copy:

{missing}

Records whose lines lie in an archive, and which were therefore not looked at:

{absent}

## What this does not show

- A proof shows that a record is in the log, not that no other one is. The verifier says how many
  of how many records are here; the gaps hold what was not asked for.
- Sealed parts (questions, answers, reasons) are encrypted in the records and stay so.
- A checkpoint that only the log signed shows what its keeper says. One that a witness signed shows
  that the keeper has told no one else a different story.
"""
