"""A process gives back large pieces of memory, whatever it has freed before."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes

class Statistics(ctypes.Structure):  # mallinfo2(3)
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Statistics
from streams.memory import spare_memory
spare_memory()
before = mallinfo().hblkhd
for _ in range(3):
    piece = bytes(4 << 20)
    assert mallinfo().hblkhd - before >= 4 << 20, "it is not a piece of its own"
    del piece
    assert mallinfo().hblkhd == before, "it was not given back"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a matter of glibc")
def test_large_pieces_go_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
