"""How a run answers Ctrl-C and the SIGTERM of a scheduler: it ends between two documents."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_ENDING: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interrupts(tell: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Give what says whether the process was asked to end, by the first signal; ``tell`` is called.

    The second one raises ``KeyboardInterrupt`` wherever the process is: what was acknowledged
    is kept, and the next run mends the rest. For the main thread.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        tell()

    before = {number: signal.signal(number, ask) for number in _ENDING}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
