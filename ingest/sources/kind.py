"""What a kind of source brings with it, so that it can be configured and opened."""

from collections.abc import Callable
from dataclasses import dataclass

from ingest.sources.options import Options
from ingest.sources.port import Source
from ragplatform.egress import Allowed


@dataclass(frozen=True, slots=True)
class Reach:
    """What a source may use to reach its place: the networks that this process is sealed to.

    ``settle_s`` is for how long a file has to be left alone before it is taken for written.
    """

    allowed: Allowed
    settle_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One kind. ``keys`` are its own keys in ``sources.toml``, beside those that all have.

    ``check`` raises ``ConfigurationError`` for a place or keys that cannot be right; it reads no
    secret and connects to nothing. ``url`` returns the address whose host this process has to
    be allowed to reach, ``""`` for none. ``open`` reads the secrets; it need not connect yet.
    """

    keys: frozenset[str]
    check: Callable[[str, Options], None]
    url: Callable[[str, Options], str]
    open: Callable[[str, Options, Reach], Source]
