"""All that ingest adds to the service's interface."""

from collections.abc import Callable, Mapping

from fastapi import FastAPI

from ingest.api import files, lives, quarantine, runs
from ingest.erasures import LifeDesk
from ingest.intake import Intake
from ingest.quarantine_orders import QuarantineOrders
from ragplatform.batches.desk import BatchDesk


class IngestRoutes:
    """The routes of ingest; fulfils ``ragplatform.api.app.Extension``."""

    def __init__(
        self,
        *,
        intake: Intake,
        lives: LifeDesk,
        orders: QuarantineOrders,
        batches: BatchDesk,
        largest_file: int,
        close: Callable[[], None],
    ) -> None:
        """``close`` releases what the parts hold."""
        self._intake = intake
        self._lives = lives
        self._orders = orders
        self._batches = batches
        self._largest_file = largest_file
        self._close = close

    @property
    def limits(self) -> Mapping[str, int]:
        """The most bytes of a request's body, by path."""
        return {files.FILES: self._largest_file + files.FORM_BYTES, **lives.LIMITS}

    def add_routes(self, app: FastAPI) -> None:
        """Add the routes."""
        runs.add_routes(app, self._intake)
        files.add_routes(app, self._intake, self._batches)
        lives.add_routes(app, self._lives)
        quarantine.add_routes(app, self._orders)

    def close(self) -> None:
        """Release what the routes hold."""
        self._close()
