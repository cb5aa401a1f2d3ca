"""How much memory there is to keep frames in."""

import os
from pathlib import Path

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
