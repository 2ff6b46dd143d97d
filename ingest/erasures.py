"""Erasure and other labels as people and systems ask for them over REST, each as who they are.

The acts are those of the commands, by the same code: here is only who acts, and what is theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ingest.certificate import Certifier, certificate_id
from ingest.erasure_orders import ErasureOrders, Kind, Named, Standing
from ingest.forget import Erased, Eraser, Kept
from ingest.queue import RunQueue, RunState, What, new_run, require_room
from ingest.relabel import Relabelled, Relabeller
from ragplatform.access.desk import Caller
from ragplatform.catalog import SqlCatalog
from ragplatform.errors import DeniedError, InvalidRequestError, NotFoundError
from ragplatform.model import Json


@dataclass(frozen=True, slots=True)
class Ended:
    """What went, and the certificate of it by its id; both empty for a dry run.

    ``kept`` are those of whom, in a dry run of several, something has to stay.
    """

    erased: Erased
    certificate: str
    text: str
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order, how far it is, and what became of some that it names."""

    standing: Standing
    state: RunState
    named: tuple[Named, ...] = ()


class LifeDesk:
    """Erases and relabels for one caller at a time. Safe to use from several threads."""

    def __init__(
        self,
        *,
        catalog: SqlCatalog,
        orders: ErasureOrders,
        queue: RunQueue,
        is_small: Callable[[], bool],
        eraser: Callable[[Caller, str | None], Eraser],
        take_back: Callable[[Caller], Eraser],
        certifier: Callable[[Caller], Certifier],
        relabeller: Callable[[Caller], Relabeller],
    ) -> None:
        """The last four are made anew for each caller, and decide by policy for that one.

        ``eraser`` takes the id that its records are to bear, or None; what ``take_back`` erases may
        come in again. ``is_small`` says that the
        index is small enough for whoever asks to wait while its files are scrubbed.
        """
        self._catalog = catalog
        self._orders = orders
        self._queue = queue
        self._is_small = is_small
        self._eraser = eraser
        self._take_back = take_back
        self._certifier = certifier
        self._relabeller = relabeller

    def erase(
        self, caller: Caller, *, document: str | None, subjects: Sequence[str], dry_run: bool
    ) -> Ended | Ordered:
        """Erase one document or all about people, on record, and certify it: now or by an order.

        One is erased at once where the index is small. Else it is an order, which a worker does.
        Raises ``DeniedError``, on record, for what policy or the law keeps: nothing went then;
        ``InvalidRequestError`` for none or both, and for a document that is not there;
        ``BusyError``; ``UnavailableError`` when a part is away: ask again, and it is finished.
        """
        if (document is None) == (not subjects):
            raise InvalidRequestError("wanted exactly one of document and subjects")
        run = new_run()
        eraser = self._eraser(caller, run)
        refs = eraser.refs(subjects)
        if dry_run:
            return _would_go(eraser, document, refs)
        if len(refs) > 1 or not self._is_small():
            return self._order(caller, eraser, run, document, refs)
        if document is not None:
            erased = eraser.document(document, dry_run=False)
        else:
            erased = eraser.subject(subjects[0], dry_run=False)
        text = self._certifier(caller).certify(erased)
        return Ended(erased, certificate_id(text), text)

    def _order(
        self, caller: Caller, eraser: Eraser, run: str, document: str | None, refs: Sequence[str]
    ) -> Ordered:
        """1. Policy permits it. 2. There is room. 3. It is on record. 4. It is kept. 5. It waits.

        Who dies between the last two leaves an order that nobody does: asking again makes another.
        """
        who = caller.principal
        if document is not None:
            eraser.document(document, dry_run=True)  # 1
        require_room(self._queue, who.tenant)  # 2
        eraser.order(run, refs)  # 1, 3
        kind, ids = (Kind.SUBJECT, refs) if document is None else (Kind.DOCUMENT, [document])
        self._orders.place(run, who, caller.purpose, kind, ids)  # 4
        self._queue.ask(
            principal=who,
            purpose=caller.purpose,
            collection="",
            kind=What.ERASURE,
            what=run,
            run=run,
        )  # 5
        return self._ordered(who.tenant, run)

    def standing(self, caller: Caller, erasure: str, *, after: int, limit: int) -> Ordered:
        """Return how far an order of the tenant is, on record, with those behind number ``after``.

        Raises ``DeniedError`` for who may not erase, ``NotFoundError``.
        """
        self._eraser(caller, None).look(erasure)
        found = self._ordered(caller.principal.tenant, erasure)
        return replace(found, named=tuple(self._orders.named(erasure, after=after, limit=limit)))

    def _ordered(self, tenant: str, erasure: str) -> Ordered:
        standing = self._orders.standing(tenant, erasure)
        run = self._queue.lookup(tenant, erasure)
        if standing is None or run is None:
            raise NotFoundError("no order to erase of this tenant has that id")
        return Ordered(standing, run.state)

    def erase_documents(self, caller: Caller, documents: Sequence[str]) -> None:
        """Erase what a caller brought at once, on record, each with its certificate.

        The same may be brought again.
        Raises ``DeniedError`` when some of them have to stay; the others went.
        """
        ended = self._take_back(caller).each_document(documents)
        gone = [one for one in ended if isinstance(one, Erased)]
        for _ in self._certifier(caller).certify_each(gone):
            pass
        kept = [one.why for one in ended if isinstance(one, Kept)]
        if kept:
            raise DeniedError(kept[0])

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


def _would_go(eraser: Eraser, document: str | None, refs: Sequence[str]) -> Ended:
    if document is not None:
        return Ended(eraser.document(document, dry_run=True), "", "")
    ended = eraser.people(refs, dry_run=True)
    kept = tuple(one for one in ended if isinstance(one, Kept))
    if len(refs) == len(kept) == 1:
        raise DeniedError(kept[0].why)
    all_of_them = Erased()
    for one in ended:
        if isinstance(one, Erased):
            all_of_them.subjects += one.subjects
            all_of_them.documents += [d for d in one.documents if d not in all_of_them.documents]
            all_of_them.chunks += one.chunks
    return Ended(all_of_them, "", "", kept)
