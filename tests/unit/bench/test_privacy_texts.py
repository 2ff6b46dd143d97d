import subprocess
import sys
import time

from hypothesis import given
from hypothesis import strategies as st

from bench.privacy.clock import cpu_seconds
from bench.privacy.people import people
from bench.privacy.prose import parts, upto


@given(st.lists(st.text("ab \n", max_size=9000), max_size=4).map("\n".join))
def test_cut_texts_lose_nothing_but_blanks_at_the_end(text: str):
    cut = list(parts(text))

    assert text.startswith("".join(cut))
    assert not text[len("".join(cut)) :].strip()
    assert all(0 < len(part) <= 10_000 for part in cut)


def test_texts_are_taken_until_there_are_enough():
    assert upto(["aaa", "bb", "c"], 4) == ["aaa", "bb"]
    assert upto(["aaa", "bb"], 40) == ["aaa", "bb"]


def test_invented_people_have_one_name_each_and_are_asked_about_by_it():
    everyone = people(1000)

    assert len({one.name for one in everyone}) == len(everyone) == 1000
    assert all(one.name in one.question and one.name in one.note for one in everyone)
    assert everyone == people(1000)


def test_the_clock_counts_a_child_while_it_runs_and_after():
    began = cpu_seconds()
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        child.stdout.readline()
        running = cpu_seconds() - began
        child.communicate(b"\n")
    ended = cpu_seconds() - began

    assert running >= 0.25
    assert ended >= 0.25


def test_the_clock_does_not_count_time_asleep():
    began = cpu_seconds()
    time.sleep(0.2)

    assert cpu_seconds() - began < 0.15
