"""What running the packaged models costs a process, and how their passes share its processors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.models.loading import available_processors, in_passes, side_by_side

PASSES_AT_ONCE = """
import threading
from citewise.library.embedding import MiniLM, PassageInput

def resident_mib():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024

model = MiniLM()
text = "The method prunes attention heads of a language model. " * 24

def read():
    together.wait()
    for _ in range(2):
        list(model.embed_passages([PassageInput(text)] * 2))

for count in (1, 16):
    together = threading.Barrier(count)
    threads = [threading.Thread(target=read) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(resident_mib())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_who_read_at_once_do_not_each_take_memory() -> None:
    told = subprocess.run(
        [sys.executable, "-c", PASSES_AT_ONCE], capture_output=True, text=True, check=True
    )
    alone, together = map(float, told.stdout.split())
    assert together - alone < 60


def test_results_come_in_the_order_of_what_was_asked() -> None:
    def slow(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0.001)
        return number * number

    assert side_by_side(slow, list(range(40))) == [n * n for n in range(40)]
    assert side_by_side(slow, []) == []


@pytest.mark.skipif(available_processors() < 2, reason="one processor has no other thread")
def test_others_help_and_nobody_waits_for_those_who_are_busy() -> None:
    met = threading.Barrier(2, timeout=20)
    assert side_by_side(lambda _: met.wait() >= 0, [1, 2]) == [True, True]

    release = threading.Event()
    busy = [
        threading.Thread(target=lambda: side_by_side(lambda _: release.wait(20), [1, 2]))
        for _ in range(available_processors())
    ]
    for thread in busy:
        thread.start()
    began = time.monotonic()
    assert side_by_side(lambda n: -n, [1, 2, 3]) == [-1, -2, -3]
    assert time.monotonic() - began < 10
    release.set()
    for thread in busy:
        thread.join()


def test_an_error_is_raised_and_what_has_not_begun_does_not_begin() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        if number == 99:
            raise ValueError("the last")
        begun.append(number)
        time.sleep(0.1)

    with pytest.raises(ValueError, match="the last"):
        side_by_side(work, list(range(100)))
    time.sleep(0.5)
    assert len(begun) <= available_processors()


FORKED = """
import os, sys, threading
from citewise.models.loading import side_by_side

side_by_side(abs, [1, 2, 3])
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
met = threading.Barrier(2, timeout=20)
side_by_side(lambda _: met.wait(), [1, 2])
os._exit(0)
"""


@pytest.mark.skipif(available_processors() < 2, reason="one processor has no other thread")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_helpers_of_its_own() -> None:
    assert subprocess.run([sys.executable, "-c", FORKED], check=False).returncode == 0


def test_alone_means_the_thread_that_asks() -> None:
    me = threading.get_ident()
    assert set(side_by_side(lambda _: threading.get_ident(), list(range(9)), share=False)) == {me}


@given(st.lists(st.integers(2, 300), max_size=60), st.booleans())
def test_a_pass_is_within_its_tokens_and_every_text_is_read_once(
    lengths: list[int], share: bool
) -> None:
    passes: list[list[int]] = []

    def read(places: list[int]) -> list[int]:
        passes.append(places)
        return [at * 10 for at in places]

    assert in_passes(read, lengths, 256, share) == [at * 10 for at in range(len(lengths))]
    assert sorted(at for places in passes for at in places) == list(range(len(lengths)))
    for places in passes:
        assert lengths[places[0]] == max(lengths[at] for at in places)
        assert len(places) == 1 or lengths[places[0]] * len(places) <= 256
    if share and len(set(lengths)) == 1:
        assert len(passes) >= min(len(lengths), available_processors())
