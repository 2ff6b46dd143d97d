"""Erase."""

from pathlib import Path
from typing import Annotated

import typer

from ingest import forget as forgetting
from ingest import life_wiring
from ingest.certificate import write_private
from ingest.commands import console
from ragplatform.errors import UnavailableError


def forget(
    tenant: console.Tenant,
    document: Annotated[str | None, typer.Option(help="Id of one document.")] = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(help="Raw id of a person: every document about them; repeatable."),
    ] = None,
    subjects_from: Annotated[
        Path | None, typer.Option(help="A file with a raw id on each line.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Write the certificate of it to this file as well.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would go.")] = False,
    as_json: console.AsJson = False,
) -> None:
    """Erase a document, or all about people with the values kept of them, and certify it.

    What is on legal hold or has to be kept stays, and all that was named with it. A copy of the
    certificate is kept in the data folder. Exit code 2: not all was erased; run it again.
    """
    with console.exits():
        people = [*(subject or []), *_lines(subjects_from)]
        with life_wiring.erasure(console.settings(), tenant) as opened:
            erased = forgetting.forget(
                opened.eraser, document=document, subjects=people, dry_run=dry_run
            )
            certified = "" if dry_run else opened.certifier.certify(erased)
        if certificate and certified:
            write(certificate, certified)
    if as_json:
        console.line({"event": "forgotten", "dry_run": dry_run, **erased.summary()})
    else:
        word = "would go" if dry_run else "erased"
        console.out.print(
            f"{word}: {len(erased.documents)} documents, {erased.chunks} chunks, "
            f"{erased.values} kept values"
        )


def write(path: Path, text: str) -> None:
    """Write a file for its owner alone. Raises ``UnavailableError``."""
    try:
        write_private(path, text)
    except OSError as error:
        raise UnavailableError(f"{path} cannot be written: {error.strerror}") from error


def _lines(path: Path | None) -> list[str]:
    try:
        text = path.read_text("utf-8") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UnavailableError(f"{path} cannot be read as a list of ids") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
