"""The composition root: the only place that picks concrete classes.

Adapters whose libraries take seconds to import are imported where a part is opened: a command
that needs none of them, such as ``audit verify``, starts at once.
"""

import asyncio
import contextlib
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio.to_thread
import httpx2

from ragplatform import egress
from ragplatform.access.desk import AccessDesk
from ragplatform.access.explain import AccessExplainer
from ragplatform.access.register import Register
from ragplatform.adapters import api_keys
from ragplatform.adapters.api_keys import ApiKeyAuthenticator, UserEntry
from ragplatform.adapters.bm25 import Bm25Weigher
from ragplatform.adapters.callers import CallerAuthenticator, ClientUsers
from ragplatform.adapters.gguf_conversion import convert_gguf
from ragplatform.adapters.jwks import (
    FETCH_TIMEOUT_S,
    DiscoveredKeys,
    FixedKeys,
    KeySource,
    Patience,
    fetch_keys,
    read_key_file,
)
from ragplatform.adapters.jwks import (
    Keys as IssuerKeys,
)
from ragplatform.adapters.key_file import KeyFile
from ragplatform.adapters.oidc import ClaimNames, OidcAuthenticator, TokenRules
from ragplatform.adapters.shared_edge import Role, SharedEdgeIndex
from ragplatform.adapters.tenant_indexes import TENANT, TenantIndexes
from ragplatform.answer.ask import Answerer, AnswerLimits
from ragplatform.answer.retrieve import Retriever
from ragplatform.answer.unmask import Unmasker
from ragplatform.audit import query
from ragplatform.audit.events import Action, AuditEvent, Outcome, spoken_for
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.note import Signer
from ragplatform.audit.record import Record, unseal
from ragplatform.audit.seal import DEPLOYMENT_KEY
from ragplatform.audit.verify import VerifyReport, verify
from ragplatform.catalog import SqlCatalog
from ragplatform.config import IndexBackend, Settings, read_secret
from ragplatform.errors import (
    AuditError,
    ConfigurationError,
    DeniedError,
    PlatformError,
)
from ragplatform.model import Json, Labels, Principal, Purpose, Span
from ragplatform.model_manifest import load_manifest
from ragplatform.models import ModelStore
from ragplatform.policy.classes import access_class
from ragplatform.policy.engine import Policies
from ragplatform.ports import Authenticator, Detector, Embedder, Generator, Index, TermWeigher
from ragplatform.privacy.gate import Inspector, Privacy
from ragplatform.privacy.key_encryption import KeyFiles, MasterKeyEncryption, new_key_file
from ragplatform.privacy.keys import Keys
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.transform import Transformed
from ragplatform.privacy.vault import Vault
from ragplatform.redaction import Redactor
from ragplatform.reporting import Reporter

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer
    from qdrant_client import QdrantClient

    from ragplatform.adapters.detector import NameFinder

# Not "index": in it lies a folder "edge", and a tenant may be called that.
_INDEXES: Final = "indexes"
# Not "audit-seal": under that name the deployment derived its one key for the records of all.
_TENANT_SEAL: Final = "audit-seal-tenant"
_RULES: Final = "privacy.toml"
_RECOGNISERS: Final = "ragplatform.recognisers"
# Packages of the deployment's own that ask a directory who is related to whom: ``ports.Directory``.
_DIRECTORIES: Final = "ragplatform.directories"
# Patterns of a deployment's own, where it has some.
_PATTERNS: Final = "recognisers.toml"


def derive(settings: Settings, use: str, tenant: str = "") -> bytes:
    """Return the deployment's 32-byte key for one use and tenant."""
    return Keys(settings.master_key()).derive(use, tenant)


def allowed(settings: Settings, *urls: str) -> egress.Allowed:
    """Return where a process with these settings, and these services beside, may connect."""
    services = [settings.vllm_url, settings.qdrant_url, settings.oidc_issuer, *urls]
    return egress.Allowed.of(settings.allowed_networks, [url for url in services if url])


def seal(settings: Settings) -> None:
    """Seal this process before anything else of it runs.

    Raises ``ConfigurationError`` when a variable is set that makes a library phone home.
    """
    egress.check_environment(os.environ)
    egress.quiet()
    egress.seal(allowed(settings))


def model_store(settings: Settings) -> ModelStore:
    """Return the store of provisioned models."""
    own = settings.models_dir / "models.toml"
    return ModelStore(
        models_dir=settings.models_dir,
        manifest=load_manifest(own if own.is_file() else None),
        converters={"gguf": convert_gguf},
    )


def open_audit(settings: Settings, kind: str) -> TenantLogs:
    """Open the audit logs of this process: ``kind``, or ``kind-2`` and so on while one is taken.

    Raises ``AuditError`` when none can be opened, ``TamperedError`` when the deployment's own was
    altered.
    """
    keys = Keys(settings.master_key())
    return TenantLogs.open(
        settings.audit_dir,
        kind=kind,
        signing_key=lambda origin: keys.derive("audit-sign", origin),
        sealing_key=lambda tenant: keys.derive(_TENANT_SEAL, tenant),
    )


def unsealed(settings: Settings, record: Record) -> dict[str, str]:
    """Return the sealed parts of a record in clear, by name; none if it has none.

    Who calls this must have recorded ``Action.UNSEALED`` with the reason first. Raises
    ``TamperedError`` when a bit differs from what was sealed, or the key does.
    """
    if record.sealed is None:
        return {}
    if record.sealed.version == DEPLOYMENT_KEY:
        return unseal(record, derive(settings, "audit-seal"))
    return unseal(record, derive(settings, _TENANT_SEAL, record.tenant))


def verify_audit(
    settings: Settings, folder: Path, held_checkpoint: str | None = None
) -> VerifyReport:
    """Verify one log of this deployment under the key derived from its master secret.

    The key beside a log says nothing against somebody who replaced log and key together; and only
    the folder's name tells that one log was put in another's place.
    """
    key = Signer(folder.name, derive(settings, "audit-sign", folder.name)).public_key
    return verify(folder, public_key=key, held_checkpoint=held_checkpoint)


def open_policies(settings: Settings) -> Policies:
    """Load the policies of the deployment. Raises ``PolicyError``."""
    return Policies.load(settings.policies_dir)


def open_catalog(settings: Settings) -> SqlCatalog:
    """Open the catalog."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return SqlCatalog(settings.catalog_url, access_class=access_class)


def open_register(settings: Settings, vault: Vault) -> Register:
    """Open the register of relations, consents and broken glasses, with what packages add to it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Register(
        settings.catalog_url,
        subject_ref=vault.subject_ref,
        directories=[point.load()() for point in entry_points(group=_DIRECTORIES)],
        now=_now,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def open_vault(settings: Settings) -> Vault:
    """Open the vault. Raises ``VaultError`` when the keys do not fit it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    master = settings.master_key()
    folder = settings.vault_keys_dir
    keks = KeyFiles(folder, older=MasterKeyEncryption(Keys(master))) if folder else None
    return Vault(settings.effective_vault_url, master=master, key_encryption=keks)


def vault_key_versions(settings: Settings) -> Mapping[str, int]:
    """Return how many subjects' keys are wrapped under each key. Raises ``VaultError``."""
    vault = open_vault(settings)
    try:
        return vault.key_versions()
    finally:
        vault.close()


def make_vault_key(settings: Settings, actor: str) -> Path:
    """Make the vault's next key file and record that it was made.

    Raises ``ConfigurationError`` when the settings name no folder for it.
    """
    folder = _vault_keys(settings)
    with open_audit(settings, "cli") as audit:
        path = new_key_file(folder)
        details: dict[str, Json] = {"key": path.name}
        audit.append(
            AuditEvent(Action.KEY_MADE, Outcome.SUCCESS, "", actor, "", None, details=details)
        )
    return path


@dataclass(frozen=True, slots=True)
class Rotated:
    """How many keys a rotation wrapped anew, and how many subjects are under each key now."""

    wrapped: int
    versions: Mapping[str, int]


def rotate_vault(settings: Settings, actor: str) -> Rotated:
    """Wrap all subjects' keys under the newest key file, after recording that it begins.

    Raises ``ConfigurationError`` when there are no key files, ``TamperedError`` at a key that is
    not what was written.
    """
    _vault_keys(settings)
    vault = open_vault(settings)
    try:
        with open_audit(settings, "cli") as audit:
            before: dict[str, Json] = {**vault.key_versions()}
            audit.append(
                AuditEvent(
                    Action.KEYS_ROTATED, Outcome.SUCCESS, "", actor, "", None, details=before
                )
            )
        return Rotated(vault.rotate(), vault.key_versions())
    finally:
        vault.close()


def _vault_keys(settings: Settings) -> Path:
    if settings.vault_keys_dir is None:
        raise ConfigurationError(
            "the vault's keys derive from the master secret and cannot be changed by themselves: "
            "set RAGPLATFORM_VAULT_KEYS_DIR and run `ragplatform vault new-key`"
        )
    return settings.vault_keys_dir


def open_detector(settings: Settings) -> Detector:
    """Load the detector of personal data, with what the deployment adds to it.

    Raises ``ModelError`` when the tagger's files are not right, ``ConfigurationError`` for patterns
    or packages of the deployment's own that cannot be trusted.
    """
    from ragplatform.adapters.detector import IdentifierDetector
    from ragplatform.adapters.rules.patterns import load_patterns
    from ragplatform.adapters.rules.tier import FAMILIES, RuleTier

    own = settings.policies_dir / _PATTERNS
    return IdentifierDetector(
        rules=RuleTier((*FAMILIES, load_patterns(own)) if own.is_file() else FAMILIES),
        tagger=_open_tagger(model_store(settings).resolve(settings.tagger_model)),
        added=_installed_recognisers(),
    )


def _installed_recognisers() -> "Sequence[EntityRecognizer]":
    """Return the recognisers that packages of the deployment's own bring."""
    if not entry_points(group=_RECOGNISERS):
        # Presidio takes many seconds to import, and nothing else of the detector needs it.
        return ()
    from ragplatform.adapters.rules.recognisers import installed_recognisers

    return installed_recognisers("en")


def _open_tagger(folder: Path) -> "NameFinder":
    """Load our own tagger, or the published GLiNER model or token classifier in the folder."""
    if (folder / "tagger.json").is_file():
        from ragplatform.adapters.tagger import Tagger

        return Tagger(folder)
    if (folder / "gliner_config.json").is_file():
        from ragplatform.adapters.gliner import open_gliner

        return open_gliner(folder)
    from ragplatform.adapters.token_classifier import TokenClassifier

    return TokenClassifier(folder)


def reason(text: str, span: Span) -> tuple[str, bool]:
    """Return the word that spoke for a finding, "" without one, and if its check digits hold."""
    from ragplatform.adapters.rules import reasons

    return reasons.clue(text, span), reasons.proven(span)


def check_patterns(path: Path) -> list[str]:
    """Return what is wrong with a file of a deployment's own recognisers; nothing if sound."""
    from ragplatform.adapters.rules.patterns import check_patterns as check

    return check(path)


def open_rules(settings: Settings) -> PrivacyRules:
    """Load what is to happen to personal data. Raises ``PolicyError``."""
    return PrivacyRules.load(settings.policies_dir / _RULES)


def open_privacy(settings: Settings, vault: Vault) -> Privacy:
    """Return the privacy gate with its detector loaded."""
    return Privacy(detector=open_detector(settings), rules=open_rules(settings), vault=vault)


def open_inspector(settings: Settings) -> Inspector:
    """Return what finds personal data where there is no deployment: no key, vault or folder.

    Outside a deployment's folder the rules are those of the source tree that this program runs
    from, unless the settings name a folder. Raises ``PolicyError`` when there are none.
    """
    folder = settings.policies_dir
    own = Path(__file__).parents[1] / "policies"
    if "policies_dir" not in settings.model_fields_set and not (folder / _RULES).exists():
        folder = own
    return Inspector(detector=open_detector(settings), rules=PrivacyRules.load(folder / _RULES))


def redact_by_policy(settings: Settings, text: str, labels: Labels) -> Transformed:
    """Return the text as an index of this deployment would hold it. No value goes to the vault.

    Raises ``DetectorError`` rather than pass on a text unsearched, ``ConfigurationError`` without
    the deployment's keys.
    """
    vault = open_vault(settings)
    try:
        privacy = open_privacy(settings, vault)
        [spans] = privacy.inspect([text])
        return privacy.transform(text, spans, labels)
    finally:
        vault.close()


def open_embedder(settings: Settings) -> Embedder:
    """Load the encoder of dense vectors. Raises ``ModelError`` when its files are not right."""
    from ragplatform.adapters.encoder import SentenceEncoder

    return SentenceEncoder(folder=model_store(settings).resolve(settings.embedding_model))


def open_index(settings: Settings, dim: int) -> Index:
    """Open the index that the settings name: one, or one for each tenant.

    Raises ``ConfigurationError`` when there are passages laid out the other way.
    """
    require_index_layout(settings)
    if not settings.index_per_tenant:
        return _open_one_index(settings, dim)
    return TenantIndexes(
        dim=dim,
        open_one=lambda tenant: _open_one_index(settings, dim, tenant),
        begun=lambda: _index_layout(settings).tenants,
    )


@dataclass(frozen=True, slots=True)
class IndexLayout:
    """Which indexes there are: the one for all tenants, and those of single tenants."""

    shared: bool
    tenants: Sequence[str]


def require_index_layout(settings: Settings) -> IndexLayout:
    """Return which indexes there are.

    Raises ``ConfigurationError`` when they are laid out another way than the settings say: what
    was taken in would be there, and nobody would find it.
    """
    found = _index_layout(settings)
    if settings.index_per_tenant and found.shared:
        raise ConfigurationError(
            "index_per_tenant is true, but one index for all tenants is there: set it to false, "
            "or take everything in again in another data folder and collection"
        )
    if not settings.index_per_tenant and found.tenants:
        raise ConfigurationError(
            f"index_per_tenant is false, but {len(found.tenants)} tenants have an index of their "
            "own: set it to true, or take everything in again in another data folder and collection"
        )
    return found


def _index_layout(settings: Settings) -> IndexLayout:
    if settings.index_backend is IndexBackend.EDGE:
        folders = (settings.data_dir / _INDEXES).glob("*/")
        return IndexLayout(_index_folder(settings).exists(), _tenants(f.name for f in folders))
    from ragplatform.adapters.qdrant import collections

    client = _qdrant(settings)
    try:
        names = collections(client)
    finally:
        client.close()
    own = f"{settings.qdrant_collection}."
    rest = (name.removeprefix(own) for name in names if name.startswith(own))
    return IndexLayout(settings.qdrant_collection in names, _tenants(rest))


def _tenants(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if TENANT.fullmatch(name))


def _index_folder(settings: Settings, tenant: str = "") -> Path:
    return settings.data_dir / _INDEXES / tenant if tenant else settings.data_dir / "index"


def _open_one_index(settings: Settings, dim: int, tenant: str = "") -> Index:
    if settings.index_backend is IndexBackend.EDGE:
        return SharedEdgeIndex(folder=_index_folder(settings, tenant), dim=dim)
    from ragplatform.adapters.qdrant import QdrantIndex

    name = settings.qdrant_collection
    collection = f"{name}.{tenant}" if tenant else name
    return QdrantIndex(client=_qdrant(settings), collection=collection, dim=dim)


def _qdrant(settings: Settings) -> "QdrantClient":
    from ragplatform.adapters.qdrant import connect

    key = settings.qdrant_api_key_file
    return connect(
        url=settings.qdrant_url,
        api_key=read_secret(key) if key else None,
        timeout_s=settings.qdrant_timeout_s,
    )


@dataclass(frozen=True, slots=True)
class Store:
    """What ingest and questions share."""

    settings: Settings
    policies: Policies
    privacy: Privacy
    vault: Vault
    catalog: SqlCatalog
    register: Register
    embedder: Embedder
    weigher: TermWeigher
    index: Index
    audit: TenantLogs

    @property
    def index_note(self) -> str:
        """What people should know of the index: that another process holds it, or nothing."""
        if isinstance(self.index, SharedEdgeIndex) and self.index.role is Role.GUEST:
            return f"the index is held by process {self.index.owner_pid()}: writing through it; "
        return ""

    def record(
        self,
        action: Action,
        outcome: Outcome = Outcome.SUCCESS,
        *,
        actor: str = "system",
        tenant: str = "",
        request_id: str = "",
        **details: str | int,
    ) -> None:
        """Append one event, of the deployment itself unless a tenant is named.

        Raises ``AuditError``.
        """
        self.audit.append(
            AuditEvent(action, outcome, tenant, actor, request_id, None, details=details)
        )

    def close(self) -> None:
        """Record the stop and release every part."""
        with contextlib.suppress(AuditError):
            self.record(Action.STOPPED)
        self.index.close()
        self.register.close()
        self.catalog.close()
        self.vault.close()
        self.audit.close()


def open_store(settings: Settings, kind: str) -> Store:
    """Seal the process and open all that ingest and questions share; ``kind`` names its log.

    Raises ``ConfigurationError`` or one of its kinds for what the operator must mend.
    """
    seal(settings)
    with contextlib.ExitStack() as undo:
        audit = open_audit(settings, kind)
        undo.callback(audit.close)
        policies = open_policies(settings)
        catalog = open_catalog(settings)
        undo.callback(catalog.close)
        vault = open_vault(settings)
        undo.callback(vault.close)
        register = open_register(settings, vault)
        undo.callback(register.close)
        embedder = open_embedder(settings)
        store = Store(
            settings=settings,
            policies=policies,
            privacy=open_privacy(settings, vault),
            vault=vault,
            catalog=catalog,
            register=register,
            embedder=embedder,
            weigher=Bm25Weigher(),
            index=open_index(settings, embedder.dim),
            audit=audit,
        )
        undo.pop_all()

    def blocked(host: str) -> None:
        store.record(Action.EGRESS_BLOCKED, Outcome.DENIED, host=host[:200])

    egress.seal(allowed(settings), blocked)
    return store


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


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything the query service runs on."""

    store: Store
    generator: Generator
    authenticator: Authenticator
    retriever: Retriever
    answerer: Answerer
    redactor: Redactor
    desk: AccessDesk
    explainer: AccessExplainer
    unmasker: Unmasker
    http: httpx2.AsyncClient
    strangers: Flood = field(default_factory=Flood)
    turned_away: Flood = field(default_factory=Flood)

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
        self.store.record(Action.STARTED, policy=self.policies.digest)

    def record_failure(self, request_id: str, error: str) -> None:
        """Record a request that ended in a bug of ours. Raises ``AuditError``."""
        outcome = Outcome.FAILURE
        self.store.record(Action.FAILED, outcome, request_id=request_id, error=error)

    def record_unauthenticated(self, request_id: str) -> None:
        """Record a caller who did not prove who it is. Raises ``AuditError``.

        A flood makes one record a second, which counts those before it: callers without a key
        must not be able to fill the disk of the log.
        """
        if attempts := self.strangers.take():
            self.store.record(
                Action.AUTHENTICATED_FAILED,
                Outcome.DENIED,
                actor="unknown",
                request_id=request_id,
                attempts=attempts,
            )

    def record_turned_away(self, principal: Principal, request_id: str) -> None:
        """Record a request that found no turn to work. Raises ``AuditError``.

        Somebody's flood makes one record a second, which counts those before it.
        """
        if requests := self.turned_away.take(f"{principal.tenant}/{principal.id}"):
            self.store.record(
                Action.TURNED_AWAY,
                Outcome.DENIED,
                actor=principal.id,
                tenant=principal.tenant,
                request_id=request_id,
                requests=requests,
            )

    def may_review(self, principal: Principal) -> bool:
        """Return whether policy lets the principal read its tenant's audit log."""
        return self.policies.may(principal, "review_audit", Purpose.COMPLIANCE)

    def review_audit(
        self,
        principal: Principal,
        request_id: str,
        *,
        limit: int,
        action: Action | None,
        actor: str | None,
        about: str | None,
    ) -> list[Record]:
        """Return the newest records of the principal's tenant, after recording the look.

        ``about`` narrows to the records of one request. Raises ``DeniedError`` without the duty.
        """
        permitted = self.may_review(principal)
        self.store.record(
            Action.AUDIT_READ,
            Outcome.SUCCESS if permitted else Outcome.DENIED,
            actor=principal.id,
            tenant=principal.tenant,
            request_id=request_id,
            **spoken_for(principal),
        )
        if not permitted:
            raise DeniedError("reading the audit log is a duty of compliance reviewers")
        found: list[Record] = []
        for log in query.find_logs(self.settings.audit_dir, tenant=principal.tenant):
            found += query.read(
                log,
                tenant=principal.tenant,
                action=action,
                actor=actor,
                request_id=about,
                limit=limit,
                newest_first=True,
            )
        found.sort(key=lambda record: (record.time, record.index), reverse=True)
        return found[:limit]

    async def parts(self) -> dict[str, str]:
        """Return the state of each part that a question needs, ``ok`` or what is wrong."""

        def probe() -> str:
            try:
                self.store.index.count()
            except PlatformError as error:
                return error.code
            return "ok"

        index, model = await asyncio.gather(anyio.to_thread.run_sync(probe), self.generator.ready())
        audit = "ok" if self.store.audit.writable else "audit_unavailable"
        return {"index": index, "model": "ok" if model else "generator_unavailable", "audit": audit}

    async def aclose(self) -> None:
        """Release every part."""
        await self.http.aclose()
        await anyio.to_thread.run_sync(self.store.close)


def open_generator(settings: Settings) -> tuple[Generator, httpx2.AsyncClient]:
    """Return the model and the HTTP client it speaks through; the caller closes the client."""
    from ragplatform.adapters.vllm import VllmGenerator

    http = egress.async_client(allowed(settings), timeout_s=settings.vllm_timeout_s)
    key = settings.vllm_api_key_file
    generator = VllmGenerator(
        base_url=settings.vllm_url,
        model=settings.vllm_model,
        api_key=read_secret(key) if key else None,
        http_client=http,
        timeout_s=settings.vllm_timeout_s,
    )
    return generator, http


def count_keys(settings: Settings) -> int:
    """Return how many API keys there are. Raises ``ConfigurationError`` for a wrong file."""
    return len(api_keys.read_keys(settings.api_keys_file))


def build(settings: Settings, kind: str = "api") -> Platform:
    """Build the query service.

    Raises ``ConfigurationError`` or one of its kinds for what the operator must mend.
    """
    store = open_store(settings, kind)
    generator, http = open_generator(settings)
    authenticator = open_authenticator(settings, store.vault)
    return assemble(store, generator=generator, authenticator=authenticator, http=http)


def open_retriever(store: Store) -> Retriever:
    """Return what finds and shows passages, each under the policies and on record."""
    return Retriever(
        policies=store.policies,
        privacy=store.privacy,
        catalog=store.catalog,
        standings=store.register,
        embedder=store.embedder,
        weigher=store.weigher,
        index=store.index,
        audit=store.audit,
    )


def open_reporter(store: Store) -> Reporter:
    """Return what counts over whole collections."""
    return Reporter(catalog=store.catalog, index=store.index, rules=store.privacy.rules)


def authenticate(settings: Settings, token: str) -> Principal:
    """Return whom a key or token stands for. Raises ``UnauthenticatedError``."""
    vault = open_vault(settings)
    try:
        return open_authenticator(settings, vault).authenticate(token)
    finally:
        vault.close()


def open_authenticator(settings: Settings, vault: Vault) -> Authenticator:
    """Return what tells who calls. Raises ``ConfigurationError``."""
    return CallerAuthenticator(
        keys=ApiKeyAuthenticator(settings.api_keys_file, clock=time.time),
        users=ClientUsers(
            settings.users_file,
            secret=settings.client_secret,
            leeway_s=settings.oidc_leeway_s,
            clock=time.time,
        ),
        tokens=_open_oidc(settings, vault) if settings.oidc_issuer else None,
    )


def _open_oidc(settings: Settings, vault: Vault) -> OidcAuthenticator:
    keys: KeySource
    if settings.oidc_jwks_file is not None:
        keys = FixedKeys(settings.oidc_jwks_file)
    else:
        patience = Patience(
            settings.oidc_keys_max_age_s, settings.oidc_keys_pause_s, settings.oidc_keys_grace_s
        )
        fetch = partial(_fetch_keys, settings)
        keys = DiscoveredKeys(fetch, patience=patience, clock=time.monotonic)
    return OidcAuthenticator(
        token_rules(settings), keys=keys, subject_ref=vault.subject_ref, clock=time.time
    )


def token_rules(settings: Settings) -> TokenRules:
    """Return which tokens are taken. Raises ``ConfigurationError``."""
    return TokenRules(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        algorithms=frozenset(settings.oidc_algorithms),
        leeway_s=settings.oidc_leeway_s,
        longest_s=settings.oidc_longest_token_s,
        tenants=frozenset(settings.oidc_tenants),
        claims=ClaimNames(
            id=settings.oidc_id_claim,
            roles=settings.oidc_roles_claim,
            tenant=settings.oidc_tenant_claim,
            departments=settings.oidc_departments_claim,
            clearance=settings.oidc_clearance_claim,
            subjects=settings.oidc_subjects_claim,
            name=settings.oidc_name_claim,
        ),
    )


def _fetch_keys(settings: Settings) -> IssuerKeys:
    places = allowed(settings)
    return fetch_keys(
        settings.oidc_issuer, lambda: egress.client(places, timeout_s=FETCH_TIMEOUT_S)
    )


def count_issuer_keys(settings: Settings) -> int:
    """Return how many keys the issuer has for signatures, after checking the settings of tokens.

    Raises ``ConfigurationError``, ``UnavailableError`` when they cannot be had.
    """
    token_rules(settings)
    file = settings.oidc_jwks_file
    return len(_fetch_keys(settings) if file is None else read_key_file(file))


def assemble(
    store: Store, *, generator: Generator, authenticator: Authenticator, http: httpx2.AsyncClient
) -> Platform:
    """Join a store with a model and a way to tell who calls."""
    retriever = open_retriever(store)
    answerer = Answerer(
        retriever=retriever,
        privacy=store.privacy,
        embedder=store.embedder,
        generator=generator,
        audit=store.audit,
        limits=AnswerLimits(
            max_tokens=store.settings.max_answer_tokens,
            prompt_characters=store.settings.prompt_characters,
        ),
        salt_key=derive(store.settings, "cache-salt"),
    )
    redactor = Redactor(policies=store.policies, privacy=store.privacy, audit=store.audit)
    return Platform(
        store=store,
        generator=generator,
        authenticator=authenticator,
        retriever=retriever,
        answerer=answerer,
        redactor=redactor,
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
        unmasker=Unmasker(
            retriever=retriever,
            policies=store.policies,
            privacy=store.privacy,
            unmaskings=store.register,
            audit=store.audit,
            now=_now,
        ),
        http=http,
    )


@contextlib.contextmanager
def opened_desk(settings: Settings) -> Iterator[AccessDesk]:
    """Open what changes the register on record, for a command; it is closed at the end."""
    with contextlib.ExitStack() as undo:
        audit = open_audit(settings, "cli")
        undo.callback(audit.close)
        vault = open_vault(settings)
        undo.callback(vault.close)
        register = open_register(settings, vault)
        undo.callback(register.close)
        yield _desk(
            settings,
            register=register,
            policies=open_policies(settings),
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
        sealing_key=partial(derive, settings, "access-seal"),
        now=_now,
    )


@dataclass(frozen=True, slots=True)
class NewKey:
    """A fresh API key, shown once; only its digest is kept."""

    principal: Principal
    key: str


def key_file(settings: Settings) -> KeyFile:
    """Return the files of API keys and of clients' users."""
    return KeyFile(settings.api_keys_file, settings.users_file, clock=time.time)


def add_key(
    settings: Settings,
    principal: Principal,
    subjects: frozenset[str],
    *,
    actor: str,
    days: int | None = None,
    acts_for: str = "",
) -> NewKey:
    """Make a key for the principal, related to the raw ``subjects``; write down its digest.

    A key that the same principal had before stops working. ``acts_for`` makes it the key of a
    registered client. Raises ``ConfigurationError``.
    """
    related = _related(settings, principal, subjects)
    _record_keys(settings, Action.API_KEY_MADE, actor, related, acts_for=acts_for)
    return NewKey(related, key_file(settings).add(related, days=days, acts_for=acts_for))


def add_user(
    settings: Settings,
    principal: Principal,
    subjects: frozenset[str],
    *,
    client: str,
    sub: str,
    actor: str,
) -> None:
    """Write down for whom a client asks when it states ``sub``. Raises ``ConfigurationError``."""
    related = _related(settings, principal, subjects)
    _record_keys(settings, Action.USER_LISTED, actor, related, client=client)
    key_file(settings).list_user(UserEntry(client, sub, related))


def rotate_key(
    settings: Settings, name: str, tenant: str, *, overlap_hours: int, days: int | None, actor: str
) -> NewKey:
    """Make the next key of a principal; the one before ends after the overlap.

    Raises ``ConfigurationError``.
    """
    file = key_file(settings)
    who = file.find(name, tenant)
    _record_keys(settings, Action.API_KEY_ROTATED, actor, who, overlap_hours=overlap_hours)
    return NewKey(who, file.rotate(who, overlap=timedelta(hours=overlap_hours), days=days))


def revoke_keys(settings: Settings, name: str, tenant: str, *, actor: str) -> int:
    """Remove all keys and user entries of a principal; return how many went.

    Raises ``ConfigurationError``.
    """
    file = key_file(settings)
    who = file.find(name, tenant)
    _record_keys(settings, Action.API_KEY_REVOKED, actor, who)
    return file.revoke(who)


def _related(settings: Settings, principal: Principal, subjects: frozenset[str]) -> Principal:
    vault = open_vault(settings)
    refs = frozenset(vault.subject_ref(principal.tenant, subject) for subject in subjects)
    vault.close()
    return replace(principal, subjects=refs)


def _record_keys(
    settings: Settings, action: Action, actor: str, who: Principal, **details: str | int
) -> None:
    with open_audit(settings, "cli") as audit:
        details = {"principal": who.id, **details}
        audit.append(
            AuditEvent(action, Outcome.SUCCESS, who.tenant, actor, "", None, details=details)
        )


def create_keys(settings: Settings) -> Path | None:
    """Make the master secret if there is none; return its path if it was made.

    Where there is no file of API keys, an empty one is made beside it.
    """
    path = settings.master_key_file
    key_file(settings).begin()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(os.urandom(32).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return path
