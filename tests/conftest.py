"""What all tests share: where the real videos are, and a skip that says so when they are not."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of real face videos."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real face videos are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def shared_facts() -> Path:
    """The directory of published file lists and labels."""
    facts = SHARED_DATA.parent / "facts"
    if not facts.is_dir():
        pytest.skip(f"the published lists of the corpora are not at {facts}")
    return facts


@pytest.fixture(scope="session")
def openface() -> Path:
    """The directory of the contract, the golden runs and the recorded failures of a real OpenFace."""
    recorded = SHARED_DATA.parent / "openface"
    if not recorded.is_dir():
        pytest.skip(f"the recorded runs of OpenFace are not at {recorded}")
    return recorded


@pytest.fixture(scope="session")
def golden(openface: Path) -> Path:
    """Its good runs."""
    return openface / "golden"
