"""How sources on web servers are configured: what they share, buckets, and plain documents."""

import re
from typing import Final
from urllib.parse import urlsplit

from ingest.sources.http import Http, Login, Site
from ingest.sources.http_lists import Format
from ingest.sources.kind import Reach, SourceKind
from ingest.sources.options import Options
from ingest.sources.port import Source
from ingest.sources.web import Web, require_address
from ragplatform import egress
from ragplatform.errors import ConfigurationError

WEB_KEYS: Final = frozenset("ca_file cert_file key_file timeout_s deadline_s".split())
# Source: Amazon S3 User Guide, "General purpose bucket naming rules"; others allow what it does.
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def open_web(options: Options, reach: Reach) -> Web:
    """Return what asks the servers of one source. Raises ``ConfigurationError``."""
    timeout_s, deadline_s = _times(options)
    ca_file = options.file("ca_file")
    cert_file, key_file = options.file("cert_file"), options.file("key_file")
    tls = egress.tls_context(ca_file, cert_file=cert_file, key_file=key_file)
    client = egress.client(reach.allowed, timeout_s=timeout_s, tls=tls)
    return Web(client=client, deadline_s=deadline_s)


def _times(options: Options) -> tuple[float, float]:
    return (
        options.number("timeout_s", 30, least=0.1, most=600),
        options.number("deadline_s", 600, least=0.1, most=24 * 3600),
    )


def _check_web(place: str, options: Options) -> None:
    require_address(place, options.where)
    _times(options)
    for key in ("ca_file", "cert_file", "key_file"):
        options.file(key)


def _require_one_of(options: Options, name: str) -> None:
    """Raise ``ConfigurationError`` unless a file or a variable with the secret is named."""
    if not (options.text(f"{name}_file", "") or options.text(f"{name}_env", "")):
        raise ConfigurationError(f"{options.where}: {name}_file or {name}_env is missing")


def _check_s3(place: str, options: Options) -> None:
    _check_web(place, options)
    if not _BUCKET.fullmatch(options.text("bucket")):
        raise ConfigurationError(f"{options.where}: bucket is no name of a bucket")
    if urlsplit(place).path.strip("/") or urlsplit(place).query:
        raise ConfigurationError(f"{options.where}: place is the endpoint alone; see prefix")
    for name in ("access_key", "secret_key"):
        _require_one_of(options, name)
    for key in ("tags", "metadata", "virtual_host"):
        options.flag(key, default=False)
    for key in ("prefix", "region", "session_token_file", "session_token_env"):
        options.text(key, "")


def _url_s3(place: str, options: Options) -> str:
    parts = urlsplit(place)
    host = f"{options.text('bucket')}." if options.flag("virtual_host", default=False) else ""
    return f"{parts.scheme}://{host}{parts.netloc}"


def _open_s3(place: str, options: Options, reach: Reach) -> Source:
    # It takes a while to import, and most deployments have no bucket.
    try:
        from ingest.sources import s3  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(
            f"{options.where}: buckets need botocore: install ragplatform[s3]"
        ) from error
    keys = s3.Keys(
        access=options.secret("access_key") or "",
        secret=options.secret("secret_key") or "",
        session=options.secret("session_token"),
    )
    prefix = options.text("prefix", "")
    bucket = s3.Bucket(
        endpoint=place.rstrip("/"),
        name=options.text("bucket"),
        prefix=f"{prefix.rstrip('/')}/" if prefix else "",
        region=options.text("region", "us-east-1"),
        virtual_host=options.flag("virtual_host", default=False),
    )
    return s3.S3(
        web=open_web(options, reach),
        bucket=bucket,
        keys=keys,
        with_tags=options.flag("tags", default=False),
        with_metadata=options.flag("metadata", default=False),
    )


def _site(place: str, options: Options) -> Site:
    form = Format(options.choice("listing", "index", tuple(Format)))
    url = options.text("listing_url", "")
    if form is not Format.INDEX and not url:
        raise ConfigurationError(f"{options.where}: listing_url is missing")
    if url and urlsplit(url).scheme and urlsplit(url).netloc != urlsplit(place).netloc:
        raise ConfigurationError(f"{options.where}: listing_url is on another server than place")
    return Site(f"{place.rstrip('/')}/", form, url, options.texts("fact_headers"))


def _check_http(place: str, options: Options) -> None:
    _check_web(place, options)
    _site(place, options)
    if urlsplit(place).query:
        raise ConfigurationError(f"{options.where}: place has a query")
    if options.text("user", ""):
        _require_one_of(options, "password")
    for key in ("password_file", "password_env", "token_file", "token_env"):
        options.text(key, "")


def _open_http(place: str, options: Options, reach: Reach) -> Source:
    login = Login(
        user=options.text("user", ""),
        password=options.secret("password") or "",
        token=options.secret("token") or "",
    )
    return Http(web=open_web(options, reach), site=_site(place, options), login=login)


S3: Final = SourceKind(
    keys=WEB_KEYS
    | frozenset(
        "bucket prefix region virtual_host tags metadata access_key_file access_key_env "
        "secret_key_file secret_key_env session_token_file session_token_env".split()
    ),
    check=_check_s3,
    url=_url_s3,
    open=_open_s3,
)
HTTP: Final = SourceKind(
    keys=WEB_KEYS
    | frozenset(
        "listing listing_url fact_headers user password_file password_env token_file "
        "token_env".split()
    ),
    check=_check_http,
    url=lambda place, _: place,
    open=_open_http,
)
