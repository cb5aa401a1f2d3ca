"""How much memory there is to keep frames in, and whether they fit."""

import os
from pathlib import Path

from fer_model.errors import ArgumentError

CGROUP = Path("/sys/fs/cgroup")


def available_bytes(*, meminfo: Path = Path("/proc/meminfo"), cgroup: Path = CGROUP) -> int:
    """Memory that can still be taken, by the machine's and the container's account; where neither tells, all of it."""
    room = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        room.append(int(fields["MemAvailable"].split()[0]) * 1024)
    limit, used, statistics = (cgroup / f"memory.{name}" for name in ("max", "current", "stat"))
    if limit.exists() and used.exists() and statistics.exists() and limit.read_text().strip() != "max":
        # cached files count as used, and are given up on demand
        cached = dict(line.split(" ", 1) for line in statistics.read_text().splitlines())["inactive_file"]
        room.append(int(limit.read_text()) - int(used.read_text()) + int(cached))
    return max(0, min(room))


def fits_in_memory(data: str, *, needed_bytes: int, free_bytes: int) -> bool:
    """Whether frames go to memory: `data` is ram, disk, or auto (where they take at most half of what is free).

    Raises:
        ArgumentError: they do not fit, and `data` is ram.
    """
    if data == "ram" and needed_bytes > free_bytes:
        raise ArgumentError(
            f"--data ram: the frames need {needed_bytes / 1e6:,.0f} MB and {free_bytes / 1e6:,.0f} MB are free: "
            "take --data disk, or a machine with more memory."
        )
    return data == "ram" or (data == "auto" and needed_bytes <= free_bytes // 2)
