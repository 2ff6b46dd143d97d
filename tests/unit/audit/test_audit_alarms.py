"""What the seal refuses goes on record, without the thread that tried waiting for the log."""

import threading

from ragplatform.audit.alarms import EgressAlarm
from ragplatform.audit.events import Action, AuditEvent
from ragplatform.audit.query import read
from ragplatform.audit.vocabulary import require_known
from ragplatform.errors import AuditError
from tests.fakes_audit import open_log


class Recorder:
    """Keeps events; while ``broken`` it takes none."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.broken = False

    def __call__(self, event: AuditEvent) -> None:
        require_known(event.action, event.details, event.sealed)
        if self.broken:
            raise AuditError("no room")
        self.events.append(event)


def test_what_was_told_is_on_record_by_the_end_and_names_are_sealed() -> None:
    recorder = Recorder()
    alarm = EgressAlarm(recorder, actor="system", every_s=60)
    for host in ("ms-lopez.exfil.invalid", "192.0.2.1", "192.0.2.1"):
        alarm.tell(host)
    alarm.close()
    alarm.close()

    assert sum(int(str(event.details["attempts"])) for event in recorder.events) == 3
    assert all(event.action is Action.EGRESS_BLOCKED for event in recorder.events)
    assert "lopez" not in "".join(str(event.details) for event in recorder.events)
    assert "ms-lopez" in "\n".join(event.sealed["hosts"] for event in recorder.events)


def test_what_the_log_refuses_is_kept_and_recorded_once_it_takes_records_again() -> None:
    recorder = Recorder()
    recorder.broken = True
    alarm = EgressAlarm(recorder, actor="system", every_s=0.01)
    alarm.tell("exfil.invalid")
    alarm._closing.wait(0.1)
    recorder.broken = False
    alarm.close()

    assert [event.details["attempts"] for event in recorder.events] == [1]


def test_a_flood_of_names_makes_one_record_a_while_that_counts_them_all() -> None:
    recorder = Recorder()
    alarm = EgressAlarm(recorder, actor="system", every_s=60)
    for number in range(5_000):
        alarm.tell(f"{number}.exfil.invalid")
    alarm.close()

    assert len(recorder.events) <= 2
    assert sum(int(str(event.details["attempts"])) for event in recorder.events) == 5_000


def test_the_thread_that_leads_the_log_may_be_the_one_that_is_refused(tmp_path) -> None:
    """Recording inside the audit hook would wait here for a lock of one's own."""
    with open_log(tmp_path / "log") as log:
        alarm = EgressAlarm(log.append, actor="system", every_s=0.01)
        with log._mutex:
            telling = threading.Thread(target=alarm.tell, args=("192.0.2.1",))
            telling.start()
            telling.join(5)
            assert not telling.is_alive()
        alarm.close()

    assert [record.action for record in read(tmp_path / "log")] == [Action.EGRESS_BLOCKED]
