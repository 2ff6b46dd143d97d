"""The running service, as programs of ours call it: JSON in, JSON out, refusals as our own errors.

Whoever calls holds a bearer key. The key decides who asks, and the service what they may see.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import httpx2

from ragplatform import errors
from ragplatform.model import Json

# Those whose message is all there is to them; by their codes they come back as what they were.
_KNOWN: Final[dict[str, type[errors.PlatformError]]] = {
    kind.code: kind
    for kind in (
        errors.InvalidRequestError,
        errors.DeniedError,
        errors.NotFoundError,
        errors.TooLargeError,
        errors.AuditError,
        errors.IndexUnavailableError,
        errors.GeneratorError,
        errors.DetectorError,
    )
}
_RETRY_S: Final = 5


def bearer(key: str) -> dict[str, str]:
    """Return the header that proves who calls."""
    return {"Authorization": f"Bearer {key}"}


def post(client: httpx2.Client, url: str, body: Mapping[str, Json], *, key: str) -> dict[str, Json]:
    """Return what the service answers to a JSON body.

    Raises the service's refusal as the error that it was there, ``UnavailableError`` when nothing
    or no JSON comes back.
    """
    try:
        response = client.post(url, json=body, headers=bearer(key))
    except (httpx2.HTTPError, OSError) as error:
        raise _silent(url) from error
    return answer_of(response)


async def apost(
    client: httpx2.AsyncClient, url: str, body: Mapping[str, Json], *, key: str
) -> dict[str, Json]:
    """Return the same as ``post``, without blocking the loop."""
    try:
        response = await client.post(url, json=body, headers=bearer(key))
    except (httpx2.HTTPError, OSError) as error:
        raise _silent(url) from error
    return answer_of(response)


def get(client: httpx2.Client, url: str, *, key: str) -> dict[str, Json]:
    """Return what the service answers at the address; errors as ``post``."""
    try:
        response = client.get(url, headers=bearer(key))
    except (httpx2.HTTPError, OSError) as error:
        raise _silent(url) from error
    return answer_of(response)


def answer_of(response: httpx2.Response) -> dict[str, Json]:
    """Return the JSON object of a response, or raise the refusal that it is."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise errors.UnavailableError(f"the service answered {response.status_code} and no JSON")
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        raise _refusal(response.status_code, body, response.headers.get("Retry-After", ""))
    return body


def _refusal(status: int, body: Mapping[str, Json], retry_after: str) -> errors.PlatformError:
    code, detail = str(body.get("code", "")), str(body.get("detail", f"it answered {status}"))
    if status == HTTPStatus.UNAUTHORIZED:
        return errors.UnauthenticatedError("the service does not know this key")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait_s = int(retry_after) if retry_after.isdecimal() else _RETRY_S
        return errors.BusyError(detail, retry_after_s=wait_s)
    if kind := _KNOWN.get(code):
        return kind(detail)
    by_caller = status < HTTPStatus.INTERNAL_SERVER_ERROR
    return errors.RequestError(detail) if by_caller else errors.UnavailableError(detail)


def _silent(url: str) -> errors.UnavailableError:
    host = httpx2.URL(url).host
    return errors.UnavailableError(f"the service at {host} does not answer: is it running?")
