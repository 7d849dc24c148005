"""orjson 3.12 and 3.13: a result keeps the room in which it was written, many times its length.

    python orjson_keeps_its_buffer.py             (no broker needed; Linux with glibc)

`sys.getsizeof` does not show it; the allocator does. orjson 3.11 gives back what it does not need.
"""

import ctypes

import orjson

RESULTS = 10_000


class Statistics(ctypes.Structure):
    """mallinfo2(3)."""

    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]


mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Statistics


def taken() -> int:
    found = mallinfo()
    return int(found.uordblks + found.hblkhd)


def show(value: list[int]) -> None:
    results, copies = [b""] * RESULTS, [b""] * RESULTS
    before = taken()
    for number in range(RESULTS):
        results[number] = orjson.dumps(value)
    between = taken()
    for number in range(RESULTS):
        copies[number] = memoryview(results[number]).tobytes()
    room, copied = (between - before) / RESULTS, (taken() - between) / RESULTS
    print(f"a result of {len(results[0]):,} bytes takes {room:,.0f}, its copy {copied:,.0f}")


for length in (150, 200, 1_000):
    show([1_000] * length)
