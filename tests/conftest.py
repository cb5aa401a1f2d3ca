"""What all tests share: where the real videos and recorded facts are, and a skip that says so when they are not."""

import signal
from pathlib import Path

import pytest

# a shell starts what it puts into the background deaf to Ctrl-C, and what is started from there is deaf, too
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).parents[2] / "shared"


def _shared(name: str, what: str) -> Path:
    directory = SHARED / name
    if not directory.is_dir():
        pytest.skip(f"{what} are not at {directory}")
    return directory


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of real face videos."""
    return _shared("data", "the real face videos")


@pytest.fixture(scope="session")
def shared_facts() -> Path:
    """The directory of published file lists and labels."""
    return _shared("facts", "the published lists of the corpora")


@pytest.fixture(scope="session")
def openface() -> Path:
    """The directory of the contract, the golden runs and the recorded failures of a real OpenFace."""
    return _shared("openface", "the recorded runs of OpenFace")


@pytest.fixture(scope="session")
def golden(openface: Path) -> Path:
    """Its good runs."""
    return openface / "golden"
