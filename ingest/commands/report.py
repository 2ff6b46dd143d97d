"""Reports on people, for those people."""

from pathlib import Path
from typing import Annotated

import typer

from ingest import life_wiring
from ingest.commands import console
from ingest.commands.forget import write
from ingest.subject_page import Form, written
from ragplatform.errors import InvalidRequestError
from ragplatform.model import Purpose

app = typer.Typer(help="Report what is held.")


@app.callback()
def report() -> None:
    """Report what is held."""


@app.command("subject")
def subject(
    raw_id: Annotated[str, typer.Argument(help="Raw id of the person, such as mrn:4471230.")],
    tenant: console.Tenant,
    out: Annotated[Path, typer.Option(help="File to write, for your eyes alone (mode 0600).")],
    form: Annotated[Form, typer.Option("--format", help="Form of the file.")] = Form.MARKDOWN,
    purpose: Annotated[
        Purpose,
        typer.Option(help="PATRQT as records officer, COMPLIANCE as privacy officer."),
    ] = Purpose.PATRQT,
    as_json: console.AsJson = False,
) -> None:
    """Write all that is held on a person to a file. That it was made is on record first."""
    roles = {Purpose.PATRQT: "records-officer", Purpose.COMPLIANCE: "privacy-officer"}
    with console.exits():
        if purpose not in roles:
            raise InvalidRequestError("--purpose is PATRQT or COMPLIANCE")
        with life_wiring.subject_reporter(
            console.settings(), tenant, roles[purpose], purpose
        ) as reporter:
            found = reporter.report(raw_id, form=form.value)
        write(out, written(found, form))
    documents = found["documents"]
    count = len(documents) if isinstance(documents, list) else 0
    if as_json:
        console.line({"event": "reported", "documents": count, "file": str(out)})
    else:
        console.out.print(f"{count} documents; written to {out}", markup=False)
