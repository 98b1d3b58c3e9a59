"""What running the packaged models costs a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
