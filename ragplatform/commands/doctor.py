"""Says what is wrong with a deployment, part by part, and what to do about it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from ragplatform import egress, forwarding, identities, index_openers, openers, wiring, witnessing
from ragplatform.audit import query
from ragplatform.audit.events import AuditEvent
from ragplatform.commands import console
from ragplatform.config import Settings
from ragplatform.errors import ConfigurationError, PlatformError, TamperedError


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: whether it passed, and what was found or what to do next."""

    check: str
    good: bool
    note: str


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check settings, keys, identity provider, policies, models, audit log and its witnesses,
    forwarding, model server, seal.

    The seal is tested by trying to get out. Exit code 1: something must be mended.
    """
    findings = list(examine())
    good = all(finding.good for finding in findings)
    if as_json:
        for finding in findings:
            console.print_json({"check": finding.check, "ok": finding.good, "note": finding.note})
    else:
        rows = [(f.check, console.mark(f.good), f.note) for f in findings]
        console.table(("check", "state", "found"), rows)
    if not good:
        raise typer.Exit(console.EXIT_BAD)


def examine() -> list[Finding]:
    """Run every check, each on its own, so that one failure hides no other."""
    try:
        settings = console.settings()
    except PlatformError as error:
        return [Finding("settings", False, str(error))]
    checks: dict[str, Callable[[Settings], str]] = {
        "master key": _master_key,
        "api keys": _api_keys,
        "identity provider": _identity_provider,
        "policies": _policies,
        "models": _models,
        "index": _index,
        "audit log": _audit,
        "witnesses": _witnesses,
        "forwarding": _forwarding,
        "model server": _model_server,
        "seal": _seal,
    }
    found = [Finding("settings", True, f"data in {settings.data_dir}")]
    for name, check in checks.items():
        try:
            found.append(Finding(name, True, check(settings)))
        except (PlatformError, OSError) as error:
            found.append(Finding(name, False, str(error)))
    return found


def _master_key(settings: Settings) -> str:
    settings.master_key()
    return f"{settings.master_key_file}, readable by this user alone"


def _api_keys(settings: Settings) -> str:
    count = identities.count_keys(settings)
    if not count and not settings.oidc_issuer:
        raise ConfigurationError("nobody may call: make keys with `ragplatform keys create`")
    return f"{count} keys, kept as digests"


def _identity_provider(settings: Settings) -> str:
    if not settings.oidc_issuer:
        return "none is set: callers have API keys"
    return (
        f"{settings.oidc_issuer} has {identities.count_issuer_keys(settings)} keys for signatures"
    )


def _policies(settings: Settings) -> str:
    report = openers.open_policies(settings).check()
    if not report.passed:
        raise ConfigurationError(
            f"{len(report.failures)} cases fail: run `ragplatform policy check`"
        )
    return f"{len(report.results)} cases fall as written"


def _models(settings: Settings) -> str:
    store = openers.model_store(settings)
    path = store.resolve(settings.embedding_model)
    return f"{settings.embedding_model} in {path}, every byte as pinned"


def _audit(settings: Settings) -> str:
    logs = query.find_logs(settings.audit_dir) if settings.audit_dir.is_dir() else []
    reports = [openers.verify_audit(settings, log) for log in logs]
    for report in reports:
        if not report.ok:
            raise TamperedError(
                f"{report.origin}: {report.problem}: run `ragplatform audit verify`"
            )
    return f"{len(logs)} logs, {sum(r.records for r in reports)} records, all as signed"


def _witnesses(settings: Settings) -> str:
    def unrecorded(event: AuditEvent) -> None:
        raise ConfigurationError(f"{event.action}: an examination records nothing")

    publisher = witnessing.open_publisher(settings, unrecorded)
    if not publisher.witnesses:
        # One is a choice of the operator; that without any nobody sees a roll-back is not said by
        # failing, or no laptop would pass.
        return "none is set: a log that is cut off or rewritten with its key would not be noticed"
    lags = publisher.status()
    if bad := [lag for lag in lags if not lag.good]:
        raise ConfigurationError(
            f"{bad[0].log} at {bad[0].standing.witness}: {bad[0].standing.problem or 'late'}: run "
            "`ragplatform audit witness status`"
        )
    logs = len({lag.log for lag in lags})
    return f"{len(publisher.witnesses)} witnesses, none late with any of {logs} logs"


def _forwarding(settings: Settings) -> str:
    lags = [lag for one in forwarding.open_forwarders(settings) for lag in one.status()]
    if not lags:
        return "no target is set, or nothing is recorded yet"
    return f"{sum(lag.behind for lag in lags)} records wait to be sent"


def _index(settings: Settings) -> str:
    book = index_openers.open_edition_book(settings)
    try:
        row = book.answering()
    finally:
        book.close()
    found = index_openers.require_index_layout(settings, row.place if row else "")
    by = f", by the encoder {row.model}" if row else ""
    if row and row.model != settings.embedding_model:
        by += f"; the settings name {settings.embedding_model}: run `ragplatform-ingest reindex`"
    if settings.index_per_tenant:
        return f"an index of its own for each of {len(found.tenants)} tenants{by}"
    if not found.shared:
        return "none yet: one for all tenants will be made"
    return f"one for all tenants{by}"


def _model_server(settings: Settings) -> str:
    async def ready() -> bool:
        generator, http = wiring.open_generator(settings)
        async with http:
            return await generator.ready()

    if not asyncio.run(ready()):
        raise ConfigurationError(
            f"{settings.vllm_url} gives no token for model {settings.vllm_model}: "
            "start it with `script/model-server`, or mend vllm_url and vllm_model"
        )
    return f"{settings.vllm_model} at {settings.vllm_url} gives tokens"


def _seal(settings: Settings) -> str:
    attempts = egress.self_test()
    if escaped := [attempt.what for attempt in attempts if not attempt.blocked]:
        raise ConfigurationError(f"not blocked: {', '.join(escaped)}")
    return f"blocked: {'; '.join(attempt.what for attempt in attempts)}"
