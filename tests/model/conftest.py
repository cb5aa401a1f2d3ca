"""A small shard directory for each test."""

import os
from pathlib import Path

import pytest
from shard_files import write_corpus

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks here are tiny; read when torch is first imported


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Three groups of one subject each, six recordings of three classes a subject, 16×16 pixels."""
    return write_corpus(tmp_path / "shards")
