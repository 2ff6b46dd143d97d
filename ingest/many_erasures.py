"""Erases many people by an order, batch by batch: files are scrubbed once for each batch.

Each has records and a certificate of their own, and each stands alone: of whom something has to
stay, nothing goes. 1. Erase a batch and scrub. 2. Certify each of it. 3. Note it. Whoever was not
noted when a run was cut off is erased again, which is harmless, and certified then.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from ingest.certificate import Certifier, certificate_id
from ingest.erasure_orders import ErasureOrders, Person, PersonState, Standing
from ingest.forget import Erased, Eraser, Kept
from ragplatform.errors import NotFoundError

# At 100,000 passages a scrub takes some 10 s of the processor: a tenth of a second for each.
BATCH: Final = 100


class ManyErasures:
    """Does orders of one principal; made anew for each, with the eraser and certifier of theirs."""

    def __init__(
        self,
        *,
        orders: ErasureOrders,
        tenant: str,
        eraser: Eraser,
        certifier: Certifier,
        told: Callable[[Person], None],
        stopped: Callable[[], bool],
    ) -> None:
        """``told`` hears of everybody who is settled; ``stopped`` says to end after a batch."""
        self._orders = orders
        self._tenant = tenant
        self._eraser = eraser
        self._certifier = certifier
        self._told = told
        self._stopped = stopped

    def run(self, erasure: str) -> Standing:
        """Erase all who wait; return how far the order is, not done only where it was stopped.

        Raises ``DeniedError``, on record, for who may erase nobody, ``NotFoundError``, and
        ``UnavailableError`` when a part is away: running it again goes on from there.
        """
        while not self._stopped():
            some = self._orders.waiting(erasure, limit=BATCH)
            if not some:
                break
            for person in self._settled(some):
                self._orders.settle(erasure, person)
                self._told(person)
        standing = self._orders.standing(self._tenant, erasure)
        if standing is None:
            raise NotFoundError("no order to erase of this tenant has that id")
        return standing

    def _settled(self, some: list[Person]) -> Iterator[Person]:
        ended = self._eraser.people([one.subject for one in some], dry_run=False)
        gone: list[tuple[Person, Erased]] = []
        for person, end in zip(some, ended, strict=True):
            if isinstance(end, Kept):
                yield replace(person, state=PersonState.KEPT, why=end.why)
            else:
                gone.append((person, end))
        certificates = self._certifier.certify_each([erased for _, erased in gone])
        for (person, _), text in zip(gone, certificates, strict=True):
            state, certificate = PersonState.CERTIFIED, certificate_id(text)
            yield replace(person, state=state, certificate=certificate)
