"""Opens what was put aside, for runs and for whoever decides about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

from ingest.aside import Aside
from ingest.aside_run import AsideOfRun
from ingest.quarantine_rules import RULES_FILE, QuarantineRules
from ingest.work import Target
from ragplatform import openers
from ragplatform.config import Settings
from ragplatform.privacy.vault import Vault


@contextmanager
def aside(settings: Settings, vault: Vault) -> Iterator[Aside]:
    """Open what was put aside."""
    kept = Aside(
        settings.catalog_url,
        files=openers.open_sealed_files(settings, vault),
        most_bytes=settings.quarantine_keep_mb * 1024 * 1024,
    )
    try:
        yield kept
    finally:
        kept.close()


@contextmanager
def aside_of_run(settings: Settings, vault: Vault, run: str, where: Target) -> Iterator[AsideOfRun]:
    """Open the quarantine for a run. Raises ``PolicyError`` when its rules are wrong."""
    rules = quarantine_rules(settings)
    with aside(settings, vault) as kept:
        yield AsideOfRun(
            run=run,
            target=where,
            aside=kept,
            rules=rules,
            silence_documents=settings.silence_documents,
        )


def quarantine_rules(settings: Settings) -> QuarantineRules:
    """Return the rules for what is put aside. Raises ``PolicyError`` when they are not right."""
    return QuarantineRules.load(settings.policies_dir / RULES_FILE, today=today)


def today() -> date:
    """Return the day, in the deployment's zone."""
    return datetime.now().astimezone().date()
