"""With glibc, freed memory stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CHURN = """
import resource
{before}
for _ in range(40):
    bytes(bytearray(48 << 20))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""
KEEP = "from eigenwalk.runs.memory.allocator import keep_freed\nassert keep_freed()"


def faults(before: str) -> int:
    return int(subprocess.check_output([sys.executable, "-c", CHURN.format(before=before)]))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")
def test_freed_blocks_are_reused():
    # A page fault is a page that the kernel had to clear: 40 times 48 MiB are half a million of them.
    assert faults(KEEP) < faults("") / 5


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")
def test_memory_can_be_given_back():
    code = f"{KEEP}\nfrom pathlib import Path\nfrom eigenwalk.runs.memory.allocator import give_back\n"
    code += "held = lambda: int(Path('/proc/self/statm').read_text().split()[1]) * 4096 >> 20\n"
    code += "big = [bytes(bytearray(64 << 20)) for _ in range(4)]\ndel big\nbefore = held()\ngive_back()\n"
    before, after = map(int, subprocess.check_output([sys.executable, "-c", code + "print(before, held())"]).split())
    assert before > 200
    assert after < 100
