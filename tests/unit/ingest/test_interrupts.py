"""Ctrl-C and SIGTERM end a run between two documents; twice, at once."""

import os
import signal

import pytest

from ingest.commands.interrupts import interrupts

ENDING = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@ENDING
def test_the_first_signal_only_asks(number: signal.Signals) -> None:
    told: list[str] = []

    with interrupts(lambda: told.append("ending")) as asked:
        assert not asked()
        os.kill(os.getpid(), number)

        assert asked()
    assert told == ["ending"]


@ENDING
def test_the_second_signal_ends_the_process_and_the_handlers_are_as_before(
    number: signal.Signals,
) -> None:
    before = signal.getsignal(number)

    with interrupts(lambda: None):
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)

    assert signal.getsignal(number) == before
