"""Erasure and other labels as people and systems ask for them over REST, each as who they are.

The acts are those of the commands, by the same code: here is only who acts, and what is theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ingest.certificate import Certifier, certificate_id
from ingest.forget import Erased, Eraser
from ingest.relabel import Relabelled, Relabeller
from ragplatform.access.desk import Caller
from ragplatform.catalog import SqlCatalog
from ragplatform.errors import NotFoundError
from ragplatform.model import Json


@dataclass(frozen=True, slots=True)
class Ended:
    """What went, and the certificate of it by its id; both empty for a dry run."""

    erased: Erased
    certificate: str
    text: str


class LifeDesk:
    """Erases and relabels for one caller at a time. Safe to use from several threads."""

    def __init__(
        self,
        *,
        catalog: SqlCatalog,
        eraser: Callable[[Caller], Eraser],
        certifier: Callable[[Caller], Certifier],
        relabeller: Callable[[Caller], Relabeller],
    ) -> None:
        """The three are made anew for each caller, and decide by policy for that one."""
        self._catalog = catalog
        self._eraser = eraser
        self._certifier = certifier
        self._relabeller = relabeller

    def erase(
        self, caller: Caller, *, document: str | None, subjects: Sequence[str], dry_run: bool
    ) -> Ended:
        """Erase one document or all about these people, on record, and certify it.

        Raises ``DeniedError``, on record, for what policy or the law keeps: nothing went then;
        ``InvalidRequestError`` for none or both, and for a document that is not there;
        ``UnavailableError`` when a part is away: ask again, and it is finished.
        """
        erased = forget(self._eraser(caller), document=document, subjects=subjects, dry_run=dry_run)
        if dry_run:
            return Ended(erased, "", "")
        text = self._certifier(caller).certify(erased)
        return Ended(erased, certificate_id(text), text)

    def certificate(self, caller: Caller, identity: str) -> str:
        """Return the kept copy of a certificate of the caller's tenant, on record.

        Raises ``DeniedError`` for who may not erase, ``NotFoundError``.
        """
        return self._certifier(caller).kept(identity)

    def relabel(self, caller: Caller, document: str, changes: Mapping[str, Json]) -> Relabelled:
        """Give a document other labels, on record. Called again, it finishes what was cut off.

        Raises ``NotFoundError``, ``DeniedError`` on record, ``InvalidRequestError`` for a label
        that is none.
        """
        entry = self._catalog.document(document)
        if entry is None or entry.tenant != caller.principal.tenant:
            raise NotFoundError("no document of this tenant has that id")
        return self._relabeller(caller).document(document, changes)
