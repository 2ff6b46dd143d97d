"""Passages for LangChain, for one principal and one purpose, through the gate like all others.

``ServiceRetriever`` asks a running service with a bearer key; ``PrincipalRetriever`` asks in this
process. Both are bound when they are made: no argument of a call, and no configuration of a chain,
changes who asks, for what, or in which collections.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import anyio.to_thread
from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import PrivateAttr, SecretStr

from ragplatform import egress, service
from ragplatform.answer.events import ShownPassage
from ragplatform.answer.retrieve import Request, Retriever
from ragplatform.audit.events import Action
from ragplatform.errors import ConfigurationError, UnavailableError
from ragplatform.model import Json, Narrow, Principal, Purpose

_MOST: Final = 50
_COLLECTION: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class ServiceRetriever(BaseRetriever):
    """Retrieves passages from a running service, as whom the key stands for.

    Each document's ``page_content`` is the passage's text as that person may see it; its ``id`` is
    the passage's. ``metadata`` holds ``chunk``, ``document``, ``source`` (the file's name),
    ``page`` and ``page_end`` (from 1, None without pages), ``page_label`` and ``page_end_label``
    (what the document itself calls them, or None), ``start`` and ``end`` (offsets into the
    document's text), ``heading``, ``collection``, ``media_type``, ``score``, ``number``, ``labels``
    by which policy goes, and ``request_id``, by which the audit log knows the search.
    """

    # Private, since a chain may make fields configurable by whoever calls it.
    _url: str = PrivateAttr()
    _key: SecretStr = PrivateAttr()
    _body: Mapping[str, Json] = PrivateAttr()
    _allowed: egress.Allowed = PrivateAttr()
    _timeout_s: float = PrivateAttr()

    def __init__(
        self,
        *,
        url: str,
        key: str | SecretStr,
        purpose: Purpose,
        collections: Iterable[str] | None = None,
        filters: Mapping[str, Json] | None = None,
        limit: int = 10,
        networks: Sequence[str] = (),
        timeout_s: float = 60.0,
    ) -> None:
        """``url`` is the service's; ``networks``, in CIDR form, are those it may be in.

        Loopback is always among them. ``filters`` are those of `POST /v1/search`, which narrow.
        Raises ``ConfigurationError`` for what cannot be, and where a variable of the environment
        would send LangChain's traces out of the network.
        """
        super().__init__()
        egress.check_environment(os.environ)
        self._url = url.rstrip("/")
        self._key = key if isinstance(key, SecretStr) else SecretStr(key)
        self._body = _bound(purpose, collections, limit) | (
            {} if filters is None else {"filters": dict(filters)}
        )
        self._allowed = egress.Allowed.of(networks, [url])
        self._timeout_s = timeout_s

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        del run_manager
        with egress.client(self._allowed, timeout_s=self._timeout_s) as client:
            found = service.post(
                client, f"{self._url}/v1/search", self._asked(query), key=self._secret
            )
        return _from_wire(found)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        del run_manager
        async with egress.async_client(self._allowed, timeout_s=self._timeout_s) as client:
            found = await service.apost(
                client, f"{self._url}/v1/search", self._asked(query), key=self._secret
            )
        return _from_wire(found)

    def _asked(self, query: str) -> dict[str, Json]:
        return {**self._body, "question": query}

    @property
    def _secret(self) -> str:
        return self._key.get_secret_value()


class PrincipalRetriever(BaseRetriever):
    """Retrieves passages in this process, for one principal and one purpose.

    Documents are as those of ``ServiceRetriever``.
    """

    _retriever: Retriever = PrivateAttr()
    _principal: Principal = PrivateAttr()
    _purpose: Purpose = PrivateAttr()
    _collections: frozenset[str] | None = PrivateAttr()
    _narrow: Narrow | None = PrivateAttr()
    _limit: int = PrivateAttr()

    def __init__(
        self,
        *,
        retriever: Retriever,
        principal: Principal,
        purpose: Purpose,
        collections: Iterable[str] | None = None,
        narrow: Narrow | None = None,
        limit: int = 10,
    ) -> None:
        """``retriever`` is the platform's own. Raises ``ConfigurationError`` as the other one."""
        super().__init__()
        egress.check_environment(os.environ)
        bound = _bound(purpose, collections, limit)
        self._retriever = retriever
        self._principal = principal
        self._purpose = purpose
        named = bound.get("collections")
        self._collections = frozenset(map(str, named)) if isinstance(named, list) else None
        self._narrow = narrow
        self._limit = limit

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        del run_manager
        return self._search(query)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        del run_manager
        return await anyio.to_thread.run_sync(self._search, query)

    def _search(self, query: str) -> list[Document]:
        request = Request(
            self._principal,
            self._purpose,
            query,
            collections=self._collections,
            limit=self._limit,
            narrow=self._narrow,
        )
        shown = self._retriever.retrieve(request, Action.SEARCHED).shown
        return [_document(_told(passage), request.request_id) for passage in shown]


def _bound(purpose: Purpose, collections: Iterable[str] | None, limit: int) -> dict[str, Json]:
    if not 1 <= limit <= _MOST:
        raise ConfigurationError(f"limit is {limit}: wanted 1 to {_MOST}")
    bound: dict[str, Json] = {"purpose": str(Purpose(purpose)), "limit": limit}
    if isinstance(collections, str):
        raise ConfigurationError("collections is one text: wanted a list of names")
    if collections is not None:
        names = sorted(set(collections))
        if not all(_COLLECTION.fullmatch(name) for name in names):
            raise ConfigurationError("collections holds what is no name of a collection")
        bound["collections"] = names
    return bound


def _from_wire(found: Mapping[str, Json]) -> list[Document]:
    results = found.get("results")
    if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
        raise UnavailableError("the service answered something else than a list of passages")
    return [_document(one, str(found.get("request_id", ""))) for one in results]


def _told(passage: ShownPassage) -> dict[str, Json]:
    """Return the passage as the service says it, so that both retrievers give the same."""
    labels = passage.labels
    names = (name for name in passage.__slots__ if name not in {"heading", "labels"})
    return {name: getattr(passage, name) for name in names} | {
        "heading": list(passage.heading),
        "labels": {
            "sensitivity": labels.sensitivity.name.lower(),
            "department": labels.department,
            "categories": sorted(map(str, labels.categories)),
            "restrictions": sorted(labels.restrictions),
            "state": labels.state,
        },
    }


def _document(one: Mapping[str, Json], request_id: str) -> Document:
    more: dict[str, Any] = {name: value for name, value in one.items() if name != "text"}
    metadata = {**more, "source": more.pop("title", ""), "request_id": request_id}
    metadata.pop("title", None)
    return Document(
        id=str(one.get("chunk", "")), page_content=str(one.get("text", "")), metadata=metadata
    )
