"""Certificates of erasure."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ingest.certificate import check_certificate
from ingest.commands import console
from ragplatform.errors import TamperedError, UnavailableError

app = typer.Typer(help="Check certificates of erasure, anywhere: no deployment is needed.")

File = Annotated[Path, typer.Argument(help="The certificate.")]


@app.command("verify")
def verify(
    file: File,
    key: Annotated[
        str | None,
        typer.Option(help="The log's verifier key, or a file with it, had from elsewhere."),
    ] = None,
    as_json: console.AsJson = False,
) -> None:
    """Check signature, digest and every proof of a certificate. Exit code 1: it does not hold."""
    with console.exits():
        named = key if key is None or "+" in key else _read(Path(key))
        try:
            found = check_certificate(_read(file), key=named)
        except TamperedError as error:
            console.err.print(f"BAD: {error}", markup=False)
            raise typer.Exit(1) from error
    if as_json:
        console.line({"event": "certificate", "log": found.origin, **found.said})
        return
    said = found.said
    documents, subjects = said["documents"], said["subjects"]
    count = len(documents) if isinstance(documents, list) else 0
    people = len(subjects) if isinstance(subjects, list) else 0
    console.out.print(
        f"good: {count} documents and {people} subjects of {said['tenant']} erased by "
        f"{said['erased_by']}, certified {said['certified_at']}; {found.records} records proven "
        f"under the key of {found.origin}"
    )


@app.command("proofs")
def proofs(
    file: File,
    out: Annotated[Path, typer.Option(help="Folder to write the proofs to.")],
) -> None:
    """Write each proof of a certificate as a file that `verify_audit.py --proof` checks."""
    with console.exits():
        text = _read(file)
        check_certificate(text)
        try:
            out.mkdir(parents=True, exist_ok=True)
            for place, proof in json.loads(text)["proofs"].items():
                (out / f"{place.replace('/', '-')}.tlog-proof").write_text(proof, "utf-8")
        except OSError as error:
            raise UnavailableError(f"{out} cannot be written: {error.strerror}") from error
    console.out.print(f"proofs written to {out}", markup=False)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnavailableError(f"{path} cannot be read") from error
