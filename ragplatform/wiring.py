"""The composition root: joins the parts to what ingest and the query service run on."""

import asyncio
import contextlib
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import anyio.to_thread
import httpx2

from ragplatform import __version__, egress, identities, index_openers, openers
from ragplatform.access.desk import AccessDesk
from ragplatform.access.explain import AccessExplainer
from ragplatform.access.register import Register
from ragplatform.adapters.api_keys import ApiKeyAuthenticator
from ragplatform.adapters.shared_edge import Role, SharedEdgeIndex
from ragplatform.adapters.steady import EveryEdition, SteadyIndex
from ragplatform.answer.ask import Answerer, AnswerLimits
from ragplatform.answer.judging import Bar, Unsupported
from ragplatform.answer.retrieve import Retriever
from ragplatform.answer.unmask import Unmasker
from ragplatform.audit import query
from ragplatform.audit.alarms import EgressAlarm
from ragplatform.audit.events import Action, AuditEvent, Outcome, event_of
from ragplatform.audit.index import AuditIndex
from ragplatform.audit.logs import TenantLogs
from ragplatform.batches.book import BatchBook
from ragplatform.batches.desk import BatchDesk
from ragplatform.catalog import SqlCatalog
from ragplatform.config import OrdersChoice, Settings, read_secret
from ragplatform.embedding import TextEmbedder
from ragplatform.errors import (
    AuditError,
    ConfigurationError,
    PlatformError,
)
from ragplatform.exporting import AuditExporter
from ragplatform.feedback import FeedbackDesk
from ragplatform.model import Json, Principal
from ragplatform.policy.engine import Policies
from ragplatform.ports import (
    Authenticator,
    Edition,
    Editions,
    Embedder,
    Generator,
    Index,
    TermWeigher,
)
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.vault import Vault
from ragplatform.redaction import Redactor
from ragplatform.reporting import Reporter
from ragplatform.reviewing import MOST_CAUGHT_UP, AuditReader, AuditReviewer, logs_in


@dataclass(frozen=True, slots=True)
class Store:
    """What ingest and questions share."""

    settings: Settings
    policies: Policies
    privacy: Privacy
    vault: Vault
    catalog: SqlCatalog
    register: Register
    editions: Editions
    audit: TenantLogs
    audit_index: AuditIndex
    alarm: EgressAlarm

    @property
    def embedder(self) -> Embedder:
        """The encoder of the edition of the index that answers now."""
        return self.editions.current().embedder

    @property
    def weigher(self) -> TermWeigher:
        """The weigher of terms of the edition that answers now."""
        return self.editions.current().weigher

    @property
    def index(self) -> Index:
        """The edition of the index that answers now."""
        return self.editions.current().index

    def for_writing(self) -> Edition:
        """Return the edition that answers now, with an index that waits when its engine is away.

        What a run takes out, or keeps back, leaves every other edition too.

        Raises ``ConfigurationError`` when the settings name another encoder than it was made by.
        """
        found, chosen = self.editions.current(), self.settings.embedding_model
        if found.model != chosen:
            raise ConfigurationError(
                f"the index answers by the encoder {found.model}, and the settings name {chosen}: "
                "run `ragplatform-ingest reindex` to make its next edition, or set embedding_model "
                "back; nothing was written"
            )
        return replace(found, index=self._every_edition_of(found))

    def every_edition(self) -> Index:
        """Return the index that answers, of which what is removed leaves every other edition too.

        It belongs to the store: who uses it does not close it.
        """
        return self._every_edition_of(self.editions.current())

    def _every_edition_of(self, found: Edition) -> Index:
        return EveryEdition(
            found.index,
            others=partial(index_openers.open_other_indexes, self.settings, found.name),
            patience_s=self.settings.index_patience_s,
            still=lambda: self.editions.still(found),
        )

    @property
    def index_note(self) -> str:
        """What people should know of the index: that another process holds it, or nothing."""
        index = self.index
        if isinstance(index, SharedEdgeIndex) and index.role is Role.GUEST:
            return f"the index is held by process {index.owner_pid()}: writing through it; "
        return ""

    def record(
        self,
        action: Action,
        outcome: Outcome = Outcome.SUCCESS,
        *,
        actor: str = "system",
        tenant: str = "",
        request_id: str = "",
        trace: str = "",
        details: Mapping[str, Json] | None = None,
        sealed: Mapping[str, str] | None = None,
    ) -> None:
        """Append one event, of the deployment itself unless a tenant is named.

        Raises ``AuditError``.
        """
        self.audit.append(
            AuditEvent(
                action=action,
                outcome=outcome,
                tenant=tenant,
                actor=actor,
                request_id=request_id,
                details=details or {},
                sealed=sealed or {},
                policy=self.policies.digest,
                trace=trace,
            )
        )

    def record_start(self) -> None:
        """Record that the process starts, and whether its policies are others than last time.

        Raises ``AuditError``.
        """
        log = self.settings.audit_dir / self.audit.process
        last = query.read(log, action=Action.STARTED, newest_first=True, limit=1)
        before, after = last[0].policy if last else "", self.policies.digest
        details = {"version": __version__, "config": self.settings.digest}
        self.record(Action.STARTED, details=details)
        if before != after:
            changed = {"before": before or None, "after": after}
            self.record(Action.POLICY_CHANGED, details=changed)

    def close(self) -> None:
        """Record the stop and release every part."""
        self.alarm.close()
        with contextlib.suppress(AuditError):
            self.record(Action.STOPPED, details={"version": __version__})
        self.editions.close()
        self.audit_index.close()
        self.register.close()
        self.catalog.close()
        self.vault.close()
        self.audit.close()


def patient(settings: Settings, edition: Edition) -> Edition:
    """Return an edition to be written before it answers, which waits while its engine is away."""
    patience_s = settings.index_patience_s
    steady = SteadyIndex(edition.index, patience_s=patience_s, still=lambda: True)
    return replace(edition, index=steady)


def open_store(
    settings: Settings, kind: str, *urls: str, editions: Editions | None = None
) -> Store:
    """Seal the process and open all that ingest and questions share; ``kind`` names its log.

    ``urls`` are services that this process speaks to beside those of the settings. ``editions``
    are those of the index, by default the one that answers and what follows it.

    Raises ``ConfigurationError`` or one of its kinds for what the operator must mend.
    """
    openers.seal(settings, *urls)
    with contextlib.ExitStack() as undo:
        audit = openers.open_audit(settings, kind)
        undo.callback(audit.close)
        policies = openers.open_policies_in_force(settings)
        catalog = openers.open_catalog(settings)
        undo.callback(catalog.close)
        vault = openers.open_vault(settings)
        undo.callback(vault.close)
        register = openers.open_register(settings, vault)
        undo.callback(register.close)
        editions = editions or index_openers.open_editions(settings)
        undo.callback(editions.close)
        store = Store(
            settings=settings,
            policies=policies,
            privacy=openers.open_privacy(settings, vault),
            vault=vault,
            catalog=catalog,
            register=register,
            editions=editions,
            audit=audit,
            audit_index=openers.open_audit_index(settings),
            alarm=EgressAlarm(audit.append, actor="system"),
        )
        undo.pop_all()
    egress.seal(openers.allowed(settings, *urls), store.alarm.tell)
    return store


class Sightings:
    """Remembers which credentials were recorded within the last while."""

    def __init__(self, every_s: float = 3600.0, most: int = 10_000) -> None:
        self._every_s = every_s
        self._most = most
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}

    def fresh(self, who: str) -> bool:
        """Return whether somebody was not noted within the while."""
        with self._lock:
            return time.monotonic() - self._seen.get(who, -math.inf) >= self._every_s

    def note(self, who: str) -> None:
        """Note somebody. Beyond the most, whoever was noted first is recorded again sooner."""
        with self._lock:
            self._seen.pop(who, None)
            self._seen[who] = time.monotonic()
            while len(self._seen) > self._most:
                del self._seen[next(iter(self._seen))]


class Flood:
    """Counts what callers can bring about without end, and says when to record how often."""

    def __init__(self, every_s: float = 1.0) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()
        self._recorded: dict[str, float] = {}

    def take(self, who: str = "") -> int:
        """Count one more of somebody; return how many to record now, or 0 for not yet."""
        with self._lock:
            self._waiting[who] += 1
            if time.monotonic() - self._recorded.get(who, -math.inf) < self._every_s:
                return 0
            self._recorded[who] = time.monotonic()
            return self._waiting.pop(who)

    def give_back(self, count: int, who: str = "") -> None:
        """Count again what was taken and could not be recorded; the next one is due at once."""
        with self._lock:
            self._waiting[who] += count
            self._recorded.pop(who, None)


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything the query service runs on."""

    store: Store
    generator: Generator
    authenticator: Authenticator
    retriever: Retriever
    answerer: Answerer
    redactor: Redactor
    embedder: TextEmbedder
    batches: BatchDesk
    desk: AccessDesk
    explainer: AccessExplainer
    unmasker: Unmasker
    reviewer: AuditReviewer
    exporter: AuditExporter
    feedback: FeedbackDesk
    http: httpx2.AsyncClient
    strangers: Flood = field(default_factory=Flood)
    turned_away: Flood = field(default_factory=Flood)
    seen: Sightings = field(default_factory=Sightings)

    @property
    def settings(self) -> Settings:
        """The settings it was built from."""
        return self.store.settings

    @property
    def policies(self) -> Policies:
        """The policies in force."""
        return self.store.policies

    def record_start(self) -> None:
        """Record that the service starts, under which policies. Raises ``AuditError``."""
        self.store.record_start()

    def record_failure(self, request_id: str, trace: str, error: str) -> None:
        """Record a request that ended in a bug of ours. Raises ``AuditError``."""
        self.store.record(
            Action.FAILED,
            Outcome.FAILURE,
            request_id=request_id,
            trace=trace,
            details={"code": error},
        )

    def record_unauthenticated(self, request_id: str, trace: str, reason: str) -> None:
        """Record a caller who did not prove who it is, and why. Raises ``AuditError``.

        A flood makes one record a second, which counts those before it: callers without a key
        must not be able to fill the disk of the log.
        """
        attempts = self.strangers.take()
        if not attempts:
            return
        try:
            self.store.record(
                Action.AUTHENTICATED_FAILED,
                Outcome.DENIED,
                actor="unknown",
                request_id=request_id,
                trace=trace,
                details={"attempts": attempts, "reason": reason[:64]},
            )
        except AuditError:
            self.strangers.give_back(attempts)
            raise

    def record_authenticated(self, principal: Principal, request_id: str, trace: str) -> None:
        """Record that a credential was accepted, once an hour for each. Raises ``AuditError``.

        Every record of an act names the credential; this one says since when it is in use here,
        and with which roles.
        """
        who = "\0".join((principal.tenant, principal.id, principal.via, principal.proof))
        if not self.seen.fresh(who):
            return
        self.store.audit.append(
            event_of(
                principal,
                Action.AUTHENTICATED,
                request_id=request_id,
                trace=trace,
                purpose=None,
                policy=self.policies.digest,
                details={"roles": sorted(principal.roles)},
            )
        )
        self.seen.note(who)

    def record_turned_away(self, principal: Principal, request_id: str, trace: str) -> None:
        """Record a request that found no turn to work. Raises ``AuditError``.

        Somebody's flood makes one record a second, which counts those before it.
        """
        who = f"{principal.tenant}/{principal.id}"
        requests = self.turned_away.take(who)
        if not requests:
            return
        try:
            self.store.audit.append(
                event_of(
                    principal,
                    Action.TURNED_AWAY,
                    Outcome.DENIED,
                    request_id=request_id,
                    trace=trace,
                    purpose=None,
                    details={"requests": requests},
                )
            )
        except AuditError:
            self.turned_away.give_back(requests, who)
            raise

    async def parts(self) -> dict[str, str]:
        """Return the state of each part that a question needs, ``ok`` or what is wrong."""

        def probe() -> str:
            try:
                self.store.index.count()
            except PlatformError as error:
                return error.code
            return "ok"

        index, model, _ = await asyncio.gather(
            anyio.to_thread.run_sync(probe),
            self.generator.ready(),
            # While not ready no requests come, and so no events that would open a log anew.
            anyio.to_thread.run_sync(self.store.audit.mend),
        )
        audit = "ok" if self.store.audit.writable else "audit_unavailable"
        return {"index": index, "model": "ok" if model else "generator_unavailable", "audit": audit}

    async def aclose(self) -> None:
        """Release every part."""
        await self.http.aclose()
        self.batches.book.close()
        await anyio.to_thread.run_sync(self.store.close)


def open_generator(settings: Settings) -> tuple[Generator, httpx2.AsyncClient]:
    """Return the model and the HTTP client it speaks through; the caller closes the client."""
    from ragplatform.adapters.vllm import VllmGenerator

    http = egress.async_client(openers.allowed(settings), timeout_s=settings.vllm_timeout_s)
    key = settings.vllm_api_key_file
    generator = VllmGenerator(
        base_url=settings.vllm_url,
        model=settings.vllm_model,
        api_key=read_secret(key) if key else None,
        http_client=http,
        timeout_s=settings.vllm_timeout_s,
    )
    return generator, http


def build(settings: Settings, kind: str = "api") -> Platform:
    """Build the query service.

    Raises ``ConfigurationError`` or one of its kinds for what the operator must mend.
    """
    store = open_store(settings, kind)
    generator, http = open_generator(settings)
    authenticator = identities.open_authenticator(settings, store.vault)
    return assemble(store, generator=generator, authenticator=authenticator, http=http)


def open_retriever(store: Store) -> Retriever:
    """Return what finds and shows passages, each under the policies and on record."""
    return Retriever(
        policies=store.policies,
        privacy=store.privacy,
        catalog=store.catalog,
        standings=store.register,
        editions=store.editions,
        audit=store.audit,
        reranker=openers.open_reranker(store.settings),
        leave_out_orders=store.settings.passages_with_orders is OrdersChoice.LEAVE_OUT,
    )


def open_reporter(store: Store) -> Reporter:
    """Return what counts over whole collections."""
    return Reporter(catalog=store.catalog, index=store.index, rules=store.privacy.rules)


def assemble(
    store: Store, *, generator: Generator, authenticator: Authenticator, http: httpx2.AsyncClient
) -> Platform:
    """Join a store with a model and a way to tell who calls."""
    retriever = open_retriever(store)
    reader = _audit_reader(store)
    reviewer = _reviewer(store, reader)
    return Platform(
        store=store,
        generator=generator,
        authenticator=authenticator,
        retriever=retriever,
        answerer=_answerer(store, retriever, generator),
        redactor=Redactor(policies=store.policies, privacy=store.privacy, audit=store.audit),
        embedder=TextEmbedder(
            policies=store.policies,
            privacy=store.privacy,
            editions=store.editions,
            audit=store.audit,
        ),
        batches=_batches(store),
        desk=_desk(
            store.settings,
            register=store.register,
            policies=store.policies,
            audit=store.audit,
            authenticator=authenticator,
            vault=store.vault,
        ),
        explainer=AccessExplainer(
            policies=store.policies,
            catalog=store.catalog,
            standings=store.register,
            audit=store.audit,
            subject_ref=store.vault.subject_ref,
        ),
        unmasker=_unmasker(store, retriever),
        reviewer=reviewer,
        exporter=AuditExporter(
            policies=store.policies, audit=store.audit, folder=store.settings.audit_dir
        ),
        feedback=FeedbackDesk(
            policies=store.policies,
            privacy=store.privacy,
            audit=store.audit,
            reader=reader,
            reviewer=reviewer,
        ),
        http=http,
    )


def _batches(store: Store) -> BatchDesk:
    return BatchDesk(
        policies=store.policies,
        privacy=store.privacy,
        audit=store.audit,
        book=BatchBook(store.settings.catalog_url),
        files=openers.open_sealed_files(store.settings, store.vault),
        keep_s=store.settings.batch_keep_hours * 3600,
    )


def _answerer(store: Store, retriever: Retriever, generator: Generator) -> Answerer:
    return Answerer(
        retriever=retriever,
        privacy=store.privacy,
        generator=generator,
        audit=store.audit,
        limits=AnswerLimits(
            max_tokens=store.settings.max_answer_tokens,
            prompt_characters=store.settings.prompt_characters,
        ),
        salt_key=openers.derive(store.settings, "cache-salt"),
        today=lambda: openers.now().date(),
        weights=openers.model_weights(store.settings),
        bar=Bar(
            unsupported=Unsupported(store.settings.unsupported_sentences),
            entailment=openers.open_entailment(store.settings),
            threshold=store.settings.entailment_threshold,
        ),
    )


def _unmasker(store: Store, retriever: Retriever) -> Unmasker:
    return Unmasker(
        retriever=retriever,
        policies=store.policies,
        privacy=store.privacy,
        unmaskings=store.register,
        audit=store.audit,
        now=openers.now,
    )


def _audit_reader(store: Store) -> AuditReader:
    return AuditReader(
        index=store.audit_index,
        logs=partial(logs_in, store.settings.audit_dir),
        subject_ref=store.vault.subject_ref,
        most=MOST_CAUGHT_UP,
    )


def _reviewer(store: Store, reader: AuditReader) -> AuditReviewer:
    return AuditReviewer(
        policies=store.policies,
        audit=store.audit,
        reader=reader,
        unsealed=partial(openers.unsealed, store.settings),
    )


@contextlib.contextmanager
def opened_desk(settings: Settings) -> Iterator[AccessDesk]:
    """Open what changes the register on record, for a command; it is closed at the end."""
    with contextlib.ExitStack() as undo:
        audit = openers.open_audit(settings, "cli")
        undo.callback(audit.close)
        vault = openers.open_vault(settings)
        undo.callback(vault.close)
        register = openers.open_register(settings, vault)
        undo.callback(register.close)
        yield _desk(
            settings,
            register=register,
            policies=openers.open_policies_in_force(settings),
            audit=audit,
            authenticator=ApiKeyAuthenticator(settings.api_keys_file, clock=time.time),
            vault=vault,
        )


def _desk(
    settings: Settings,
    *,
    register: Register,
    policies: Policies,
    audit: TenantLogs,
    authenticator: Authenticator,
    vault: Vault,
) -> AccessDesk:
    return AccessDesk(
        register=register,
        policies=policies,
        audit=audit,
        authenticator=authenticator,
        subject_ref=vault.subject_ref,
        sealing_key=partial(openers.derive, settings, "access-seal"),
        now=openers.now,
    )
