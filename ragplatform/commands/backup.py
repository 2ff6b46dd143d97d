"""Back a deployment up, and put it back."""

from pathlib import Path
from typing import Annotated

import typer

from ragplatform import __version__, openers
from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.backup import (
    Backup,
    check_backup,
    make_backup,
    new_backup_id,
    restore_backup,
)
from ragplatform.commands import console
from ragplatform.model import Json

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def backup(
    folder: Annotated[Path, typer.Argument(help="Folder to be made; it must not exist.")],
    with_keys: Annotated[
        bool, typer.Option(help="Copy the keys too: who has the copy can read everything.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Copy the deployment while it works: databases, sealed files, audit logs, policies.

    The index is not copied: `ragplatform-ingest rebuild` makes it again from the rest. On record
    before anything is copied, and once more when the copy is whole.
    """
    with console.exits():
        settings = console.settings()
        identity = new_backup_id()
        with openers.open_audit(settings, "cli") as audit:

            def record(**details: Json) -> None:
                said = {"backup": identity, **details}
                audit.append(
                    AuditEvent(
                        Action.BACKED_UP, Outcome.SUCCESS, "", "operator", "", None, details=said
                    )
                )

            record(stage="begun")
            made = make_backup(
                openers.backup_layout(settings),
                folder,
                backup=identity,
                version=__version__,
                config=settings.digest,
                with_keys=with_keys,
            )
            record(stage="done", files=len(made.files), bytes=made.bytes, sha256=made.sha256)
    _tell("backed_up", made, as_json=as_json)


def restore(
    folder: Annotated[Path, typer.Argument(help="The backup.")],
    audit: Annotated[
        Path | None,
        typer.Option(help="Newer audit logs of the deployment, where those outlived it."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Check every file; put nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a deployment back where there is none, after checking every file of the backup.

    Then run `ragplatform-ingest replay-erasures`, which erases again what was erased since, and
    `ragplatform-ingest rebuild`, which makes the index.
    """
    with console.exits():
        if check:
            _tell("checked", check_backup(folder), as_json=as_json)
            return
        settings = console.settings()
        found = restore_backup(openers.backup_layout(settings), folder, audit=audit)
        with openers.open_audit(settings, "cli") as log:
            details: dict[str, Json] = {
                "backup": found.backup,
                "made": found.made.isoformat(),
                "sha256": found.sha256,
            }
            log.append(
                AuditEvent(
                    Action.RESTORED, Outcome.SUCCESS, "", "operator", "", None, details=details
                )
            )
        # The keys at hand open what was put back, or it is said now.
        openers.open_vault(settings).close()
    _tell("restored", found, as_json=as_json)


def _tell(event: str, made: Backup, *, as_json: bool) -> None:
    if as_json:
        console.print_json({"event": event, **made.summary()})
        return
    keys = "with the keys" if made.keys else "without the keys: keep those apart"
    console.out.print(
        f"{event.replace('_', ' ')}: {len(made.files)} files, {made.bytes:,} bytes, {keys}; "
        f"manifest sha256 {made.sha256}"
    )
