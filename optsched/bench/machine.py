"""What a run ran on: versions, processor, memory, load."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import sys
from typing import Any


@functools.cache
def machine() -> dict[str, Any]:
    """Return processor, cores, memory and system of this machine."""
    return {
        "cpu": _cpu(),
        "cores": cores(),
        "memory_gib": round(total_memory() / 2**30, 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_average() -> float | None:
    """Return how many processes wanted a core during the last minute."""
    with contextlib.suppress(OSError, AttributeError):
        return round(os.getloadavg()[0], 2)
    return None


def total_memory() -> int:
    """Return the memory of this machine, or of its container, in bytes."""
    size = 0
    with contextlib.suppress(OSError, ValueError, AttributeError):
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
            size = min(size or sys.maxsize, int(file.read()))
    return size


def oom_kills() -> int:
    """Return how many processes the kernel has killed for want of memory."""
    with contextlib.suppress(OSError, ValueError), open("/proc/vmstat", encoding="ascii") as file:
        for line in file:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def tree_rss(pid: int) -> int:
    """Return the memory of a process and all below it, in bytes; 0 where /proc is absent."""
    from optsched.bench.host import children

    total, pending = 0, [pid]
    page = os.sysconf("SC_PAGE_SIZE")
    while pending:
        current = pending.pop()
        pending += children(current)
        with (
            contextlib.suppress(OSError, ValueError, IndexError),
            open(f"/proc/{current}/statm", encoding="ascii") as file,
        ):
            fields = file.read().split()
            total += (int(fields[1]) - int(fields[2])) * page  # shared pages are nobody's own
    return total


def _cpu() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
