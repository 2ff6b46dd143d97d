"""Opens what a run of a configured source needs beside the job."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from ingest.ledger import Entry, Ledger
from ingest.sources import SourceFile
from ingest.sources.config import SourceConfig, read_sources
from ingest.sources.intake import Intake
from ingest.sources.kind import Reach
from ingest.sources.marks import Marks
from ingest.sources.port import Source
from ingest.wiring import OpenJob, OpenPlanner
from ingest.work import Fingerprinter
from ragplatform import openers
from ragplatform.config import Settings
from ragplatform.errors import ConfigurationError


class _Known:
    """The ledger, as a source's intake asks it."""

    def __init__(self, config: SourceConfig, fingerprint: Fingerprinter, ledger: Ledger) -> None:
        self._where = (config.tenant, config.collection)
        self._fingerprint = fingerprint
        self._ledger = ledger

    def key(self, source: SourceFile) -> str:
        """Return the key of a thing."""
        return self._fingerprint.key(source)

    def entries(self, keys: Collection[str]) -> Mapping[str, Entry]:
        """Return the rows of these keys."""
        return self._ledger.known(*self._where, keys)


def configured(settings: Settings) -> dict[str, SourceConfig]:
    """Return every configured source by name. Raises ``ConfigurationError``."""
    if settings.sources_file is None:
        raise ConfigurationError("no sources are configured: set RAGPLATFORM_SOURCES_FILE")
    return read_sources(settings.sources_file)


def source_config(settings: Settings, name: str) -> SourceConfig:
    """Return one configured source. Raises ``ConfigurationError`` for a name that none has."""
    known = configured(settings)
    if name not in known:
        names = ", ".join(sorted(known)) or "none"
        raise ConfigurationError(f"no source is named so; configured are: {names}")
    return known[name]


def urls_of(config: SourceConfig) -> tuple[str, ...]:
    """Return the addresses that this process has to be allowed to reach."""
    return config.known_kind.urls(config.place, config.options)


@contextmanager
def opened(settings: Settings, config: SourceConfig, settle_s: float = 0.0) -> Iterator[Source]:
    """Open a source, within the networks that this process may reach, and close it after."""
    reach = Reach(openers.allowed(settings, *urls_of(config)), settle_s)
    source = config.known_kind.open(config.place, config.options, reach)
    try:
        yield source
    finally:
        source.close()


@contextmanager
def intake(
    settings: Settings,
    config: SourceConfig,
    job: OpenJob | OpenPlanner,
    *,
    settle_s: float = 0.0,
) -> Iterator[Intake]:
    """Open what goes through a source for one run of the job."""
    key = openers.derive(settings, "source-mark", config.tenant)
    marks = Marks(settings.catalog_url, tenant=config.tenant, source=config.name, key=key)
    try:
        with opened(settings, config, settle_s) as source:
            yield Intake(
                config=config,
                source=source,
                marks=marks,
                known=_Known(config, job.fingerprint, job.ledger),
                pipeline=job.fingerprint.pipeline,
                largest=settings.max_file_mb * 1024 * 1024,
            )
    finally:
        marks.close()
