"""When a source is looked at again: never, every so often, or when a folder changed."""

import threading
from pathlib import Path
from typing import Final, Protocol

from ragplatform.errors import ConfigurationError, SourceError

# Files are written in bursts: so long must nothing happen before anything is read.
SETTLE_S: Final = 2.0
# A folder that never rests is read all the same.
_LONGEST_S: Final = 60.0
_START_S: Final = 30.0
_TICK_MS: Final = 500


class Rhythm(Protocol):
    """Says when the next run is due."""

    def wait(self, *, unfinished: bool) -> bool:
        """Return True when it is time for another run, False when there is to be none.

        ``unfinished`` says that the last run left something for the next.
        """

    def close(self) -> None:
        """Stop waiting for anything."""


class Once:
    """One run and no other."""

    def wait(self, *, unfinished: bool) -> bool:  # there is no next
        """Return False."""
        return False

    def close(self) -> None:
        """Do nothing."""


class Every:
    """A run each time so many seconds after the last one ended, until told to stop."""

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        self._seconds = seconds
        self._stop = stop

    def wait(self, *, unfinished: bool) -> bool:  # the next is soon
        """Wait."""
        return not self._stop.wait(self._seconds)

    def close(self) -> None:
        """Do nothing."""


class FolderWatch:
    """A run whenever something below a folder changed and then came to rest, until told to stop."""

    def __init__(self, root: Path, stop: threading.Event, *, poll_s: float) -> None:
        """Begin to listen: what changes from now on is not missed, also while a run works.

        ``poll_s`` above 0 looks every so many seconds instead of being told by the kernel, which
        hears nothing of what others write to a network file system.

        Raises ``ConfigurationError`` without the library, ``SourceError`` for no such folder.
        """
        try:
            import watchfiles  # noqa: F401, PLC0415
        except ImportError as error:
            raise ConfigurationError(
                "watching needs watchfiles: install ragplatform[watch]"
            ) from error
        self._root = root
        self._stop = stop
        self._poll_s = poll_s
        self._ended = threading.Event()
        self._changed = threading.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="watch", daemon=True)
        self._thread.start()
        if not root.is_dir() or not self._listening.wait(_START_S) or self._ended.is_set():
            self.close()
            raise SourceError(f"{root}: cannot be watched: mount it, or use --every")

    def _listen(self) -> None:
        from watchfiles import watch  # noqa: PLC0415

        try:
            for changes in watch(
                self._root,
                watch_filter=None,
                step=int(SETTLE_S * 1000),
                debounce=int(_LONGEST_S * 1000),
                stop_event=self._ended,
                yield_on_timeout=True,
                rust_timeout=_TICK_MS,
                raise_interrupt=False,
                force_polling=self._poll_s > 0,
                poll_delay_ms=int(self._poll_s * 1000) or 300,
                ignore_permission_denied=True,
            ):
                # The first, of which nothing is told, says that the kernel tells us from now on.
                self._listening.set()
                if changes:
                    self._changed.set()
        except (OSError, RuntimeError):
            # Whoever waits learns of it there.
            self._ended.set()
        finally:
            self._listening.set()

    def wait(self, *, unfinished: bool) -> bool:
        """Wait. Raises ``SourceError`` when the folder cannot be watched any more."""
        waited = 0.0
        while not self._stop.is_set():
            if self._changed.wait(_TICK_MS / 1000):
                self._changed.clear()
                return True
            waited += _TICK_MS / 1000
            if self._ended.is_set():
                raise SourceError(f"{self._root}: cannot be watched any more: start again")
            if unfinished and waited >= SETTLE_S:
                return True
        return False

    def close(self) -> None:
        """Stop listening."""
        self._ended.set()
        self._thread.join(timeout=5)
