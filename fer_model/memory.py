"""How much memory there is to keep frames in, and whether they fit."""

import os
from pathlib import Path
from typing import Literal, TypeAlias

import torch

from fer_model.errors import ArgumentError

FramesPlace: TypeAlias = Literal["device", "ram", "disk"]
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


def free_bytes(device: torch.device, *, n_processes: int) -> int:
    """Memory that a device can still give; a CPU's is the machine's, divided among the processes there."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_bytes() // n_processes


def frames_place(data: str, *, needed_bytes: int, free_bytes: int, device_bytes: int | None) -> FramesPlace:
    """Where frames are kept; `data` is device, ram, disk, or auto: the first that they take at most half of.

    Args:
        free_bytes: of the machine's memory.
        device_bytes: of the GPU's memory; None: the device is the CPU, and its memory the machine's.

    Raises:
        ArgumentError: they do not fit where `data` puts them.
    """
    room = {"device": free_bytes if device_bytes is None else device_bytes, "ram": free_bytes}
    if data in room and needed_bytes > room[data]:
        raise ArgumentError(
            f"--data {data}: the frames need {needed_bytes / 1e6:,.0f} MB and {room[data] / 1e6:,.0f} MB are free: "
            "take --data disk, or a machine with more memory."
        )
    if data == "device" or (data == "auto" and device_bytes is not None and needed_bytes <= device_bytes // 2):
        return "device"
    return "ram" if data == "ram" or (data == "auto" and needed_bytes <= free_bytes // 2) else "disk"
