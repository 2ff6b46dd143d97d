"""Files in which other documents lie."""

import io
import json
import zipfile


def zipped(*entries: tuple[str, bytes]) -> bytes:
    """Return an archive of the files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, body in entries:
            # The same files make the same bytes, whatever the time is.
            archive.writestr(zipfile.ZipInfo(name), body)
    return target.getvalue()


def register(*people: str) -> bytes:
    """Return a bulk export: a line about each person."""
    return b"\n".join(
        json.dumps(
            {"resourceType": "Patient", "id": one, "birthDate": "1970-01-01", "gender": "other"}
        ).encode()
        for one in people
    )
