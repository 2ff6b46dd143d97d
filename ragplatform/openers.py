"""Opens each part of a deployment by its settings. Only ``index_openers``, ``identities`` and
``wiring`` do so beside it.

Adapters whose libraries take seconds to import are imported where a part is opened: a command
that needs none of them, such as ``audit verify``, starts at once.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ragplatform import egress
from ragplatform.access.register import Register
from ragplatform.adapters.gguf_conversion import convert_gguf
from ragplatform.archive import SealedArchive
from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.export.package import PackageMaker
from ragplatform.audit.index import AuditIndex
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.note import Signer
from ragplatform.audit.record import Record, unseal
from ragplatform.audit.seal import DEPLOYMENT_KEY
from ragplatform.audit.sealed_about import SealedTexts
from ragplatform.audit.seeds import SealSeeds
from ragplatform.audit.storage import Disk, Storage
from ragplatform.audit.verify import VerifyReport, verify
from ragplatform.backup import Layout
from ragplatform.catalog import SqlCatalog
from ragplatform.config import Settings
from ragplatform.errors import ConfigurationError, UnavailableError
from ragplatform.model import Json, Labels, ModelWeights, Span
from ragplatform.model_manifest import load_manifest
from ragplatform.models import ModelStore
from ragplatform.policy.classes import access_class
from ragplatform.policy.engine import Policies
from ragplatform.policy.kept import KeptPolicies
from ragplatform.ports import (
    Archive,
    Detector,
    Entailment,
    Reranker,
)
from ragplatform.privacy.gate import Inspector, Privacy, Treatment
from ragplatform.privacy.key_encryption import KeyFiles, MasterKeyEncryption, new_key_file
from ragplatform.privacy.keys import FewKeys, Keys
from ragplatform.privacy.pseudonyms import DOCUMENT_KEYS, Pseudonyms
from ragplatform.privacy.rules import PrivacyRules
from ragplatform.privacy.transform import Transformed
from ragplatform.privacy.vault import Vault
from ragplatform.sealed_files import SealedFiles

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

    from ragplatform.adapters.detector import NameFinder

# Not "audit-seal": under that name the deployment derived its one key for the records of all.
_TENANT_SEAL: Final = "audit-seal-tenant"
# Copies of what was in force, each under its digest: not the folder that is edited.
_POLICIES: Final = "policies"
# Documents' bytes, sealed. Not "seals": there are the seeds of the audit logs' sealed parts.
_SEALED: Final = "sealed"
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
    witnesses = [entry.partition(" ")[0] for entry in settings.witness_urls]
    services = [
        settings.vllm_url,
        settings.qdrant_url,
        settings.oidc_issuer,
        settings.timestamp_url,
        f"syslog://{settings.forward_syslog}",
        *witnesses,
        *urls,
    ]
    return egress.Allowed.of(settings.allowed_networks, [url for url in services if url])


def seal(settings: Settings, *urls: str) -> None:
    """Seal this process before anything else of it runs; ``urls`` are services beside.

    Raises ``ConfigurationError`` when a variable is set that makes a library phone home.
    """
    egress.check_environment(os.environ)
    egress.quiet()
    egress.seal(allowed(settings, *urls))


def model_store(settings: Settings) -> ModelStore:
    """Return the store of provisioned models."""
    own = settings.models_dir / "models.toml"
    return ModelStore(
        models_dir=settings.models_dir,
        manifest=load_manifest(own if own.is_file() else None),
        converters={"gguf": convert_gguf},
    )


def model_weights(settings: Settings) -> ModelWeights:
    """Return which weights the model server is set up to serve, by the pins of the manifest."""
    store = model_store(settings)
    return ModelWeights(
        digest=store.digest(settings.vllm_weights or settings.vllm_model),
        adapter=settings.vllm_adapter,
        adapter_digest=store.digest(settings.vllm_adapter),
    )


def open_audit(
    settings: Settings,
    kind: str,
    *,
    storage: Storage | None = None,
    pause_clock: Callable[[], float] = time.monotonic,
) -> TenantLogs:
    """Open the audit logs of this process: ``kind``, or ``kind-2`` and so on while one is taken.

    ``storage`` None is the local disk; ``pause_clock`` is that of ``TenantLogs.open``.

    Raises ``AuditError`` when none can be opened, ``TamperedError`` when the deployment's own was
    altered.
    """
    keys = Keys(settings.master_key())
    return TenantLogs.open(
        settings.audit_dir,
        kind=kind,
        signing_key=lambda origin: keys.derive("audit-sign", origin),
        sealing_key=lambda tenant: keys.derive(_TENANT_SEAL, tenant),
        storage=storage,
        pause_clock=pause_clock,
        seeds=partial(_seeds, settings),
    )


def open_sealed_texts(settings: Settings) -> SealedTexts:
    """Return what finds and destroys the sealed questions and answers about a subject."""
    return SealedTexts(settings.audit_dir, partial(_seeds, settings))


def _seeds(settings: Settings, origin: str) -> SealSeeds:
    # Beside the logs and not among them: whoever is given a log as evidence gets no seeds.
    return SealSeeds(settings.data_dir / "seals" / f"{origin}.json")


def open_audit_index(settings: Settings) -> AuditIndex:
    """Return the index over the audit logs; its database is opened at the first use."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return AuditIndex(settings.effective_audit_index_url)


def unsealed(settings: Settings, record: Record) -> dict[str, str]:
    """Return the sealed parts of a record in clear, by name; none if it has none.

    Who calls this must have recorded ``Action.UNSEALED`` with the reason first. Raises
    ``TamperedError`` when a bit differs from what was sealed, or the key does, ``ForgottenError``
    when they were destroyed.
    """
    if record.sealed is None:
        return {}
    if record.sealed.version == DEPLOYMENT_KEY:
        return unseal(record, derive(settings, "audit-seal"))
    key = derive(settings, _TENANT_SEAL, record.tenant)
    return unseal(record, key, _seeds(settings, record.origin))


def package_maker(settings: Settings) -> PackageMaker:
    """Return what makes evidence packages of this deployment."""
    return PackageMaker(
        signer=lambda origin: log_signer(settings, origin),
        policies=kept_policies(settings).texts,
    )


def log_signer(settings: Settings, origin: str) -> Signer:
    """Return what signs for one log of this deployment."""
    return Signer(origin, derive(settings, "audit-sign", origin))


def verify_audit(
    settings: Settings,
    folder: Path,
    held_checkpoint: str | None = None,
    *,
    archive: Path | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> VerifyReport:
    """Verify one log of this deployment under the key derived from its master secret.

    The key beside a log says nothing against somebody who replaced log and key together; and only
    the folder's name tells that one log was put in another's place.
    """
    return verify(
        folder,
        public_key=log_signer(settings, folder.name).public_key,
        held_checkpoint=held_checkpoint,
        archive=archive,
        progress=progress,
    )


def open_policies(settings: Settings) -> Policies:
    """Load the policies of the deployment. Raises ``PolicyError``."""
    return Policies.load(settings.policies_dir)


def open_policies_in_force(settings: Settings) -> Policies:
    """Load the policies to decide by, and keep a copy of them for the evidence.

    Raises ``PolicyError`` when they cannot be loaded or kept.
    """
    policies = open_policies(settings)
    kept_policies(settings).keep(policies.texts)
    return policies


def kept_policies(settings: Settings) -> KeptPolicies:
    """Return the copies of all policies that were in force in this deployment."""
    return KeptPolicies(settings.data_dir / _POLICIES)


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
        now=now,
    )


def now() -> datetime:
    """Return the moment, as the parts that keep times ask for it."""
    return datetime.now(UTC)


def open_vault(settings: Settings) -> Vault:
    """Open the vault. Raises ``VaultError`` when the keys do not fit it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    master = settings.master_key()
    folder = settings.vault_keys_dir
    keks = KeyFiles(folder, older=MasterKeyEncryption(Keys(master))) if folder else None
    return Vault(settings.effective_vault_url, master=master, key_encryption=keks)


def open_sealed_files(settings: Settings, vault: Vault) -> SealedFiles:
    """Return what keeps documents' bytes until the documents are forgotten."""
    return SealedFiles(
        settings.data_dir / _SEALED,
        keys=vault,
        name_key=derive(settings, "sealed-file-names"),
        storage=Disk(),
    )


def open_archive(settings: Settings, vault: Vault) -> Archive:
    """Return what keeps the passages of every indexed document beside the index."""
    from ragplatform.adapters.archived import decode_archived, encode_archived

    files = open_sealed_files(settings, vault)
    return SealedArchive(files, encode=encode_archived, decode=decode_archived)


def subject_ref(settings: Settings, tenant: str, raw_id: str) -> str:
    """Return the keyed reference of a person, as records and the vault name it."""
    return Pseudonyms(Keys(settings.master_key())).subject_ref(tenant, raw_id)


def vault_key_versions(settings: Settings) -> Mapping[str, int]:
    """Return how many subjects' keys are wrapped under each key. Raises ``VaultError``."""
    vault = open_vault(settings)
    try:
        return vault.key_versions()
    finally:
        vault.close()


def make_vault_key(settings: Settings, actor: str) -> Path:
    """Make the vault's next key file, after recording that it is made.

    Raises ``ConfigurationError`` when the settings name no folder for it.
    """
    folder = _vault_keys(settings)
    with open_audit(settings, "cli") as audit:

        def record(name: str) -> None:
            details: dict[str, Json] = {"key": name}
            audit.append(
                AuditEvent(Action.KEY_MADE, Outcome.SUCCESS, "", actor, "", None, details=details)
            )

        return new_key_file(folder, record)


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
            before: dict[str, Json] = {"subjects": vault.key_versions()}
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
        tagger=_open_tagger(
            model_store(settings).resolve(settings.tagger_model), settings.model_threads or None
        ),
        added=_installed_recognisers(),
        threads=settings.model_threads or None,
    )


def open_entailment(settings: Settings) -> Entailment | None:
    """Load the model that says whether a passage says a sentence; None where none is named.

    Raises ``ModelError`` when its files are not right.
    """
    if not settings.entailment_model:
        return None
    from ragplatform.adapters.entailment import FolderEntailment

    return FolderEntailment(model_store(settings).resolve(settings.entailment_model))


def _installed_recognisers() -> "Sequence[EntityRecognizer]":
    """Return the recognisers that packages of the deployment's own bring."""
    if not entry_points(group=_RECOGNISERS):
        # Presidio takes many seconds to import, and nothing else of the detector needs it.
        return ()
    from ragplatform.adapters.rules.recognisers import installed_recognisers

    return installed_recognisers("en")


def _open_tagger(folder: Path, threads: int | None) -> "NameFinder":
    """Load our own tagger, or the published GLiNER model or token classifier in the folder."""
    if (folder / "tagger.json").is_file():
        from ragplatform.adapters.tagger import Tagger

        return Tagger(folder, threads=threads)
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


def deriver(settings: Settings) -> Callable[[str, str], bytes]:
    """Return what gives the deployment's keys by use and tenant."""
    return Keys(settings.master_key()).derive


def open_rules(settings: Settings) -> PrivacyRules:
    """Load what is to happen to personal data. Raises ``PolicyError``."""
    return PrivacyRules.load(settings.policies_dir / _RULES)


def open_privacy(settings: Settings, vault: Vault) -> Privacy:
    """Return the privacy gate with its detector loaded."""
    return Privacy(detector=open_detector(settings), rules=open_rules(settings), vault=vault)


def open_treatment(settings: Settings, keys: FewKeys) -> Treatment:
    """Return what documents go through on their way in, for a process that is given few keys."""
    return Treatment(
        detector=open_detector(settings),
        rules=open_rules(settings),
        pseudonyms=Pseudonyms(keys),
    )


def document_keys(settings: Settings, tenant: str) -> FewKeys:
    """Return the keys that documents of the tenant are transformed under, and no others."""
    return Keys(settings.master_key()).only(DOCUMENT_KEYS, tenant)


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


def open_reranker(settings: Settings) -> Reranker | None:
    """Load the cross-encoder that the settings name, None where they name none.

    Raises ``ModelError`` when its files are not right.
    """
    if not settings.reranker_model:
        return None
    from ragplatform.adapters.cross_encoder import FolderReranker

    return FolderReranker(folder=model_store(settings).resolve(settings.reranker_model))


def backup_layout(settings: Settings) -> Layout:
    """Return where this deployment has what a backup copies."""
    data = settings.data_dir
    keys = {"secrets": settings.keys_dir}
    if settings.vault_keys_dir is not None:
        keys["vault"] = settings.vault_keys_dir
    return Layout(
        databases={"catalog": settings.catalog_url, "vault": settings.effective_vault_url},
        folders={
            "sealed": data / _SEALED,
            "audit": settings.audit_dir,
            "seals": data / "seals",
            "policies": data / _POLICIES,
        },
        twice=frozenset({"sealed"}),
        keys=keys,
    )


@contextmanager
def alone(settings: Settings, act: str) -> Iterator[None]:
    """Hold what only one process of a host may do at a time.

    Raises ``UnavailableError`` while another one is at it.
    """
    path = settings.data_dir / f"{act}.lock"
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnavailableError(
                f"another process is at `{act}` in {settings.data_dir}: wait for its end"
            ) from error
        yield
