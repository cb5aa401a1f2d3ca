"""How much memory a program and its children have at most."""

import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

EVERY_S = 0.05


def run_and_watch(command: Sequence[str]) -> tuple[float, float]:
    """MB that the program, and the largest of its children, were seen with.

    Raises:
        RuntimeError: the program fails.
    """
    driver_mb, child_mb = 0.0, 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        driver = psutil.Process(process.pid)
        while process.poll() is None:
            with suppress(psutil.Error):
                driver_mb = max(driver_mb, driver.memory_info().rss / 1e6)
                for child in driver.children(recursive=True):
                    with suppress(psutil.Error):
                        child_mb = max(child_mb, child.memory_info().rss / 1e6)
            time.sleep(EVERY_S)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}")
    return driver_mb, child_mb
