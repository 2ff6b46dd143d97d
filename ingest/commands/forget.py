"""Erase."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ingest import life_wiring
from ingest.certificate import write_private
from ingest.commands import console
from ingest.commands.interrupts import interrupts
from ingest.erasure_orders import Fate, Kind, Named, Standing
from ingest.forget import Erased, Kept
from ingest.life_wiring import OpenErasure
from ragplatform.errors import InvalidRequestError, UnavailableError
from ragplatform.model import Purpose

EXIT_KEPT: Final = 1


def forget(
    tenant: console.Tenant,
    document: Annotated[str | None, typer.Option(help="Id of one document.")] = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(help="Raw id of a person: every document about them; repeatable."),
    ] = None,
    subjects_file: Annotated[
        Path | None,
        typer.Option("--subjects-file", "--subjects-from", help="A file with a raw id on a line."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Write the certificate of it to this file as well.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would go.")] = False,
    as_json: console.AsJson = False,
) -> None:
    """Erase a document, or all about people with the values kept of them, and certify it.

    What is on legal hold or has to be kept stays; of several people only those stay whom it is
    about. Each has a certificate of their own; copies are kept in the data folder. Exit code 1:
    somebody was kept. 2: not all was erased; run it again, and it goes on where it stopped.
    """
    with console.exits():
        people = list(dict.fromkeys([*(subject or []), *_lines(subjects_file)]))
        if (document is None) == (not people):
            raise InvalidRequestError("give one of --document, --subject and --subjects-file")
        if len(people) > 1 and certificate:
            raise InvalidRequestError(
                "--certificate is for one: of several the data folder has them all"
            )
        with life_wiring.erasure(console.settings(), tenant) as opened:
            if len(people) > 1:
                code = _many(opened, people, dry_run=dry_run, as_json=as_json)
                raise typer.Exit(code)
            if document is not None:
                erased = opened.eraser.document(document, dry_run=dry_run)
            else:
                erased = opened.eraser.subject(people[0], dry_run=dry_run)
            certified = "" if dry_run else opened.certifier.certify(erased)
        if certificate and certified:
            write(certificate, certified)
    _tell(erased, dry_run=dry_run, as_json=as_json)


def _tell(erased: Erased, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        console.line({"event": "forgotten", "dry_run": dry_run, **erased.summary()})
    else:
        word = "would go" if dry_run else "erased"
        console.out.print(
            f"{word}: {len(erased.documents)} documents, {erased.chunks} chunks, "
            f"{erased.values} kept values"
        )


def _many(opened: OpenErasure, people: list[str], *, dry_run: bool, as_json: bool) -> int:
    refs = opened.eraser.refs(people)
    if dry_run:
        return _would_go(opened, refs, as_json=as_json)
    erasure = opened.orders.unfinished(opened.principal, Purpose.COMPLIANCE, refs)
    if erasure is None:
        erasure = opened.run
        opened.eraser.order(erasure, refs)
        opened.orders.place(erasure, opened.principal, Purpose.COMPLIANCE, Kind.SUBJECT, refs)
    with (
        interrupts(console.tell_ending) as stopped,
        _progress(len(refs), quiet=as_json) as done,
    ):

        def told(one: Named) -> None:
            done()
            if as_json:
                console.line({"event": "person", **one.json()})
            elif one.fate is Fate.KEPT:
                console.err.print(f"number {one.number}: {one.why}", markup=False)

        standing = opened.many(told=told, stopped=stopped).run(erasure)
    return _ended(standing, as_json=as_json)


def _ended(standing: Standing, *, as_json: bool) -> int:
    certified, kept = (standing.counts[fate] for fate in (Fate.CERTIFIED, Fate.KEPT))
    if as_json:
        console.line({"event": "forgotten", **standing.summary()})
    else:
        console.out.print(
            f"erased and certified: {certified} of {standing.total} people, {kept} kept"
        )
    if not standing.done:
        raise UnavailableError("not all was erased: run it again, and it goes on where it stopped")
    return EXIT_KEPT if kept else 0


def _would_go(opened: OpenErasure, refs: list[str], *, as_json: bool) -> int:
    ended = opened.eraser.people(refs, dry_run=True)
    kept = [one for one in ended if isinstance(one, Kept)]
    going = [one for one in ended if isinstance(one, Erased)]
    documents = {document for one in going for document in one.documents}
    if as_json:
        counts = {"people": len(refs), "kept": len(kept), "documents": len(documents)}
        console.line({"event": "forgotten", "dry_run": True, **counts})
    else:
        console.out.print(
            f"would go: {len(going)} of {len(refs)} people, {len(documents)} documents; "
            f"{len(kept)} kept"
        )
    return EXIT_KEPT if kept else 0


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    if quiet or not console.err.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn("people"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console.err, transient=True) as progress:
        task = progress.add_task("people", total=total)
        yield lambda: progress.advance(task)


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
