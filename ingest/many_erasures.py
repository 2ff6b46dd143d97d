"""Does orders to erase, batch by batch: files are scrubbed once for each batch.

Each person has records and a certificate of their own, and each stands alone: of whom something has
to stay, nothing goes. 1. Erase a batch and scrub. 2. Certify each of it. 3. Note it. What was not
noted when a run was cut off is erased again, which is harmless, and certified then.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from ingest.certificate import Certifier, certificate_id
from ingest.erasure_orders import ErasureOrders, Fate, Kind, Named, Standing
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
        told: Callable[[Named], None],
        stopped: Callable[[], bool],
    ) -> None:
        """``told`` hears of each that is settled; ``stopped`` says to end after a batch."""
        self._orders = orders
        self._tenant = tenant
        self._eraser = eraser
        self._certifier = certifier
        self._told = told
        self._stopped = stopped

    def run(self, erasure: str) -> Standing:
        """Erase all that waits; return how far the order is, not done only where it was stopped.

        Raises ``DeniedError``, on record, for who may erase nobody, ``NotFoundError``, and
        ``UnavailableError`` when a part is away: running it again goes on from there.
        """
        while not self._stopped():
            some = self._orders.waiting(erasure, limit=BATCH)
            if not some:
                break
            for named in self._settled(some):
                self._orders.settle(erasure, named)
                self._told(named)
        standing = self._orders.standing(self._tenant, erasure)
        if standing is None:
            raise NotFoundError("no order to erase of this tenant has that id")
        return standing

    def _settled(self, some: Sequence[Named]) -> Iterator[Named]:
        gone: list[tuple[Named, Erased]] = []
        for named, end in zip(some, self._erased(some), strict=True):
            if isinstance(end, Kept):
                yield replace(named, fate=Fate.KEPT, why=end.why)
            else:
                gone.append((named, end))
        certificates = self._certifier.certify_each([erased for _, erased in gone])
        for (named, _), text in zip(gone, certificates, strict=True):
            yield replace(named, fate=Fate.CERTIFIED, certificate=certificate_id(text))

    def _erased(self, some: Sequence[Named]) -> list[Erased | Kept]:
        if some[0].kind is Kind.SUBJECT:
            return self._eraser.people([one.id for one in some], dry_run=False)
        return self._eraser.each_document([one.id for one in some])
