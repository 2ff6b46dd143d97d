"""Every knob of the platform: its name, its default, and what it is for.

Settings come from the environment (``RAGPLATFORM_<NAME>``) and from one TOML file
(``RAGPLATFORM_CONFIG``, default ``ragplatform.toml`` where it exists); the environment wins.
They are read once, validated whole, and never imported by the core.
"""

import hashlib
import json
import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ragplatform.errors import ConfigurationError

CONFIG_VARIABLE: Final = "RAGPLATFORM_CONFIG"
MASTER_KEY_BYTES: Final = 32

# Values seen in copied example files. A key like these protects nothing.
_PLACEHOLDER = re.compile(r"change.?me|example|secret|password|placeholder|todo|xxx+", re.I)

_LISTS: Final = (
    "allowed_networks",
    "mcp_hosts",
    "mcp_origins",
    "oidc_algorithms",
    "oidc_tenants",
    "witness_folders",
    "witness_urls",
)
_CREDENTIALS: Final = re.compile(r"//[^/@\s\"]*@")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class IndexBackend(StrEnum):
    """Where passages are stored."""

    EDGE = "edge"
    QDRANT = "qdrant"


class EmbeddingPrecision(StrEnum):
    """How exactly vectors are computed."""

    INT8 = "int8"
    FLOAT32 = "float32"


class AnswerChoice(StrEnum):
    """How answers are made: quotes only, the model's own words, or by the size of the model."""

    EXTRACTIVE = "extractive"
    ABSTRACTIVE = "abstractive"


class OrdersChoice(StrEnum):
    """What becomes of a passage that speaks to a model."""

    LEAVE_OUT = "leave_out"
    KEEP = "keep"


class UnsupportedChoice(StrEnum):
    """What becomes of a model's sentence that no passage supports."""

    DROP = "drop"
    MARK = "mark"


class Settings(BaseSettings):
    """All settings, validated together. Build it with ``load``."""

    model_config = SettingsConfigDict(
        env_prefix="RAGPLATFORM_", frozen=True, extra="forbid", validate_default=True
    )

    data_dir: Path = Field(Path("var/data"), description="Folder of index, catalog, vault, audit.")
    models_dir: Path = Field(Path("var/models"), description="Folder of provisioned models.")
    policies_dir: Path = Field(Path("policies"), description="Folder of Cedar policies and rules.")
    secrets_dir: Path | None = Field(
        None, description="Folder of master.key and api-keys.toml. Default: DATA_DIR/keys."
    )

    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: int = Field(8080, ge=1, le=65535, description="Port that the API listens on.")

    public_url: str = Field(
        "", description="Where callers reach the service, for citations. Default: paths alone."
    )

    # Each request at work takes up a thread for a part of its time; the pool is made to fit.
    requests_at_once: int = Field(
        16, ge=1, le=256, description="Most questions, searches and texts at work at the same time."
    )
    requests_per_tenant: int = Field(
        12, ge=1, le=256, description="Most of them that one tenant may have at work."
    )
    requests_per_person: int = Field(
        4, ge=1, le=256, description="Most of them that one person or job may have at work."
    )
    requests_waiting: int = Field(
        64, ge=0, le=10_000, description="Most of them that wait for their turn."
    )
    request_wait_s: float = Field(
        10.0, gt=0, description="Longest wait for a turn, seconds; then the answer is 429."
    )
    client_stall_s: float = Field(
        30.0, gt=0, description="Longest wait for a caller to take a piece of its answer, seconds."
    )

    batch_lines_at_once: int = Field(
        2, ge=0, le=16, description="Most lines of batches at work in one service. 0: none."
    )
    batch_keep_hours: float = Field(
        72.0, gt=0, description="How long the answers of a batch are kept after its end, hours."
    )

    index_backend: IndexBackend = Field(
        IndexBackend.EDGE, description="edge: the engine in this process; qdrant: a server."
    )
    qdrant_url: str = Field("", description="URL of the Qdrant server, for index_backend=qdrant.")
    qdrant_api_key_file: Path | None = Field(None, description="File holding Qdrant's API key.")
    qdrant_timeout_s: int = Field(10, ge=1, description="Longest wait for Qdrant, seconds.")
    qdrant_collection: str = Field("passages", description="Collection that holds the passages.")

    index_patience_s: float = Field(
        60.0, ge=0, description="How long ingest waits for an index that is away, seconds."
    )

    index_per_tenant: bool = Field(
        False, description="Whether each tenant's passages are in an index of its own."
    )

    database_url: str = Field(
        "", description="SQLAlchemy URL of catalog and ledger. Default: SQLite in DATA_DIR."
    )
    vault_url: str = Field(
        "", description="SQLAlchemy URL of the vault. Default: SQLite in DATA_DIR."
    )
    audit_index_url: str = Field(
        "", description="SQLAlchemy URL of the audit index. Default: SQLite in DATA_DIR."
    )
    vault_keys_dir: Path | None = Field(
        None,
        description="Folder of the vault's versioned key-encryption keys. Default: derived keys.",
    )

    vllm_url: str = Field("http://127.0.0.1:8000/v1", description="OpenAI base URL of vLLM.")
    vllm_model: str = Field("smollm2-135m-instruct", description="Model name that vLLM serves.")
    vllm_weights: str = Field(
        "", description="Manifest name of the weights it serves. Default: VLLM_MODEL."
    )
    vllm_adapter: str = Field(
        "", description="Manifest name of the adapter on them. Default: none."
    )
    vllm_api_key_file: Path | None = Field(None, description="File holding vLLM's API key.")
    vllm_timeout_s: float = Field(120.0, gt=0, description="Longest wait for one answer, seconds.")

    embedding_model: str = Field("all-minilm-l6-v2", description="Manifest name of the encoder.")
    embedding_precision: EmbeddingPrecision = Field(
        EmbeddingPrecision.INT8,
        description="int8: faster; float32: exact. A model not of BERT's form is always float32.",
    )
    reranker_model: str = Field(
        "", description="Manifest name of a cross-encoder for the first hits. Default: none."
    )
    tagger_model: str = Field(
        "identifiers-minilm-l2", description="Manifest name of the tagger of personal data."
    )
    model_threads: int = Field(
        0, ge=0, description="Threads of the local models in one process. 0: one for each core."
    )

    answer_mode: AnswerChoice = Field(
        AnswerChoice.EXTRACTIVE,
        description="extractive: quotes joined by the model; abstractive: the model's own words.",
    )
    passages_with_orders: OrdersChoice = Field(
        OrdersChoice.LEAVE_OUT,
        description="Passages that speak to a model: leave_out, so that no answer is made of them, "
        "or keep them like all others.",
    )
    unsupported_sentences: UnsupportedChoice = Field(
        UnsupportedChoice.DROP,
        description="The model's sentences that no passage supports: drop, or mark as unsupported.",
    )
    entailment_model: str = Field(
        "",
        description="Name of a model in the manifest that says whether a passage says a sentence "
        "(NLI or reranker): checked after all other checks. Empty: none.",
    )
    entailment_threshold: float = Field(
        0.5, ge=0, le=1, description="How surely it must say so for a sentence to be supported."
    )
    max_answer_tokens: int = Field(400, ge=16, le=4096, description="Longest answer, in tokens.")
    passages_per_answer: int = Field(5, ge=1, le=20, description="Passages put before the model.")
    passages_beside: int = Field(
        2, ge=0, le=10, description="Passages next to the best ones that a written answer gets too."
    )
    prompt_characters: int = Field(
        8000, ge=1000, description="Most characters of passages in one prompt."
    )

    allowed_networks: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Networks (CIDR, comma-separated) beside loopback that may be reached.",
    )
    mcp_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Names, beside HOST and loopback, by which /mcp is reached, in lower case.",
    )
    mcp_origins: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Origins of web pages that may call /mcp, such as https://ui.internal.",
    )
    oidc_issuer: str = Field(
        "",
        description="Issuer of access tokens, exactly as they say it. Default: API keys only.",
    )
    oidc_audience: str = Field("", description="What `aud` of a token must hold: this service.")
    oidc_jwks_file: Path | None = Field(
        None, description="File of the issuer's public keys (JWK set). Default: by discovery."
    )
    oidc_algorithms: Annotated[list[str], NoDecode] = Field(
        ["RS256", "ES256", "EdDSA"], description="Signature algorithms taken; public-key ones only."
    )
    oidc_leeway_s: int = Field(30, ge=0, le=300, description="Difference of clocks borne, seconds.")
    oidc_longest_token_s: int = Field(
        3600, ge=60, le=86400, description="Longest life of a token; its roles hold until it ends."
    )
    oidc_keys_max_age_s: int = Field(
        300, ge=1, description="Age at which the issuer's keys are fetched again, seconds."
    )
    oidc_keys_pause_s: int = Field(
        10, ge=1, description="Least time between two fetches, whatever keys tokens name, seconds."
    )
    oidc_keys_grace_s: int = Field(
        900, ge=0, description="How much longer keys hold while the issuer is away, seconds."
    )
    oidc_tenants: Annotated[list[str], NoDecode] = Field(
        default_factory=list, description="Tenants whose people the issuer may vouch for."
    )
    oidc_tenant_claim: str = Field(
        "", description="Claim that holds the tenant. Default: the one of OIDC_TENANTS."
    )
    oidc_id_claim: str = Field("sub", description="Claim that holds the person's lasting id.")
    oidc_roles_claim: str = Field("roles", description="Claim that holds the roles.")
    oidc_departments_claim: str = Field("", description="Claim that holds the departments.")
    oidc_clearance_claim: str = Field(
        "", description="Claim that holds the clearance. Default: all are cleared for internal."
    )
    oidc_subjects_claim: str = Field("", description="Claim that holds ids of related people.")
    oidc_name_claim: str = Field("name", description="Claim that holds the name to show.")
    witness_folders: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Folders, mounted from elsewhere, that audit checkpoints are handed to.",
    )
    witness_urls: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Cosigning witnesses, comma-separated: URL, a blank, verifier key.",
    )
    witness_ca_file: Path | None = Field(
        None,
        description="Authorities (PEM) that witnesses' TLS is trusted by. Default: the system's.",
    )
    witness_cert_file: Path | None = Field(
        None, description="Client certificate (PEM) that is shown to witnesses. Default: none."
    )
    witness_key_file: Path | None = Field(
        None, description="Key (PEM) of the client certificate. Default: in the same file."
    )
    witness_interval_s: float = Field(
        10.0, gt=0, description="Time between two checkpoints to a witness, seconds."
    )
    witness_late_s: float = Field(
        300.0, gt=0, description="How long a witness may be behind before it is recorded, seconds."
    )
    witness_timeout_s: float = Field(5.0, gt=0, description="Longest wait for a witness, seconds.")
    timestamp_url: str = Field(
        "", description="URL of an RFC 3161 time-stamping authority for audit checkpoints."
    )
    timestamp_chain_file: Path | None = Field(
        None, description="The authority's root and what lies between (PEM); its tokens need it."
    )
    timestamp_interval_s: float = Field(
        300.0, gt=0, description="Time between two time-stamps of a log, seconds."
    )
    forward_syslog: str = Field(
        "", description="HOST:PORT of a syslog receiver (TLS) that audit records are sent to."
    )
    forward_ca_file: Path | None = Field(
        None,
        description="Authorities (PEM) that it is trusted by. Default: the system's.",
    )
    forward_cert_file: Path | None = Field(
        None, description="Client certificate (PEM) that is shown to the receiver. Default: none."
    )
    forward_key_file: Path | None = Field(
        None, description="Key (PEM) of that certificate. Default: in the same file."
    )
    forward_bare_close: bool = Field(
        False, description="Whether a receiver that closes without close_notify is believed."
    )
    forward_enterprise: int = Field(
        32473,
        ge=1,
        description="Private enterprise number in structured data. Default: that of examples.",
    )
    forward_file: Path | None = Field(
        None, description="File that audit records are appended to, for an agent that follows it."
    )
    forward_file_mb: int = Field(
        64, ge=1, description="Size at which that file is renamed and a new one begun, MiB."
    )
    forward_files_kept: int = Field(10, ge=1, description="How many renamed files are kept.")
    forward_format: str = Field(
        "json", description="How a record is written: json, ocsf, ecs, cef, fhir-r4 or fhir-r5."
    )
    forward_in_service: bool = Field(
        False, description="Whether the question service sends records on while it runs."
    )
    sources_file: Path | None = Field(
        None, description="File of the configured sources of ingest. Default: none are configured."
    )
    parse_timeout_s: float = Field(60.0, gt=0, description="Longest parse of one file, seconds.")
    max_file_mb: int = Field(256, ge=1, description="Largest file that ingest accepts, MiB.")
    erasure_at_once_passages: int = Field(
        20_000,
        ge=0,
        description="Over REST one erasure is done at once where the index has no more passages.",
    )
    quarantine_keep_mb: int = Field(
        100, ge=0, description="Largest document whose bytes are kept when it is put aside, MiB."
    )
    quarantine_approval_hours: float = Field(
        72.0, gt=0, description="How long a second person may approve a release, hours."
    )
    silence_documents: int = Field(
        20, ge=1, description="So many documents without personal data, where some must be, warn."
    )
    ingest_removed_percent: int = Field(
        20,
        ge=0,
        le=100,
        description="Largest share of a source that may be gone at once before nothing of it is "
        "taken out without `--remove-many`, percent.",
    )
    ingest_removed_documents: int = Field(
        10, ge=0, description="So many files may be gone at once whatever share they are."
    )
    ingest_workers: int = Field(
        0, ge=0, description="Workers of an ingest run. 0: as many as cores and memory allow."
    )
    ray_without_tls: bool = Field(
        False, description="Whether documents may go unencrypted to a Ray cluster elsewhere."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the TOML file; nothing else."""
        path = Path(os.environ.get(CONFIG_VARIABLE, "ragplatform.toml"))
        if CONFIG_VARIABLE in os.environ and not path.is_file():
            raise ConfigurationError(f"{CONFIG_VARIABLE} names {path}, which is not a file")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path)

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        split = {
            name: [part.strip() for part in values[name].split(",") if part.strip()]
            for name in _LISTS
            if isinstance(values.get(name), str)
        }
        return {**values, **split}

    @model_validator(mode="after")
    def _check_together(self) -> "Settings":
        if self.index_backend is IndexBackend.QDRANT and not self.qdrant_url:
            raise ValueError("index_backend=qdrant needs qdrant_url")
        if self.oidc_issuer and not _is_issuer(self.oidc_issuer):
            raise ValueError("oidc_issuer: wanted https://..., or http:// on loopback, no more")
        for entry in self.witness_urls:
            if not re.fullmatch(r"https?://\S+ [^\s+]+\+[0-9a-f]{8}\+\S+", entry):
                raise ValueError("witness_urls: wanted URL, a blank, NAME+ID+KEY for each witness")
        if self.forward_syslog and not re.fullmatch(r"\S+:[0-9]{1,5}", self.forward_syslog):
            raise ValueError("forward_syslog: wanted HOST:PORT")
        if self.timestamp_url and self.timestamp_chain_file is None:
            raise ValueError("timestamp_url needs timestamp_chain_file to verify what it answers")
        if self.oidc_keys_pause_s > self.oidc_keys_max_age_s:
            raise ValueError("oidc_keys_pause_s is longer than oidc_keys_max_age_s")
        return self

    @property
    def keys_dir(self) -> Path:
        """The folder of the secrets."""
        return self.secrets_dir or self.data_dir / "keys"

    @property
    def master_key_file(self) -> Path:
        """The file of the deployment's master secret, 64 hexadecimal digits."""
        return self.keys_dir / "master.key"

    @property
    def api_keys_file(self) -> Path:
        """The file of hashed API keys and whom each stands for."""
        return self.keys_dir / "api-keys.toml"

    @property
    def users_file(self) -> Path:
        """The file of the users for whom registered clients may ask."""
        return self.keys_dir / "users.toml"

    def client_secret(self, client: str) -> str:
        """Return the secret with which a registered client signs. Raises ``ConfigurationError``."""
        path = self.keys_dir / f"client-{client}.secret"
        secret = read_secret(path)
        # RFC 7518, section 3.2: a key at least as long as the hash.
        if len(secret) < 32:
            raise ConfigurationError(f"{path}: wanted 32 characters or more")
        return secret

    @property
    def catalog_url(self) -> str:
        """The SQLAlchemy URL of catalog and ledger."""
        return self.database_url or f"sqlite:///{self.data_dir / 'catalog.db'}"

    @property
    def effective_vault_url(self) -> str:
        """The SQLAlchemy URL of the vault."""
        return self.vault_url or f"sqlite:///{self.data_dir / 'vault.db'}"

    @property
    def effective_audit_index_url(self) -> str:
        """The SQLAlchemy URL of the audit index, which can be made anew from the logs."""
        return self.audit_index_url or f"sqlite:///{self.data_dir / 'audit-index.db'}"

    @property
    def audit_dir(self) -> Path:
        """The folder that holds one audit log for each origin."""
        return self.data_dir / "audit"

    @property
    def digest(self) -> str:
        """A digest over all settings, by which records tell configurations apart.

        What stands before the "@" of a database's address is left out: it may be a password that
        somebody could guess by the digest.
        """
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(_CREDENTIALS.sub("//", text).encode()).hexdigest()

    def master_key(self) -> bytes:
        """Return the 32-byte master secret.

        Raises ``ConfigurationError`` when the file is absent, malformed, readable by others, or
        holds a placeholder.
        """
        path = self.master_key_file
        text = read_secret(path)
        try:
            key = bytes.fromhex(text)
        except ValueError as error:
            raise ConfigurationError(f"{path}: wanted 64 hexadecimal digits") from error
        if len(key) != MASTER_KEY_BYTES or len(set(key)) < 8:
            raise ConfigurationError(
                f"{path}: wanted {MASTER_KEY_BYTES} random bytes in hexadecimal; "
                "make them with `ragplatform init`"
            )
        return key


def _is_issuer(url: str) -> bool:
    """Return whether keys fetched from there can be trusted: plain HTTP only inside this host."""
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def read_secret(path: Path) -> str:
    """Return the stripped text of a secret file.

    Raises ``ConfigurationError`` when it is absent, empty, open to other users, or a placeholder.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}); make keys with `ragplatform init`"
        ) from error
    if mode & 0o077:
        raise ConfigurationError(f"{path}: open to other users; run chmod 600 {path}")
    if not text or _PLACEHOLDER.search(text):
        raise ConfigurationError(f"{path}: holds no real secret but a placeholder")
    return text


def load(**overrides: object) -> Settings:
    """Return the settings, whole and valid.

    Raises ``ConfigurationError`` naming each bad knob.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic validates the values
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in e['loc']) or 'settings'}: {e['msg']}"
            for e in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(f"settings are not valid: {problems}") from error
