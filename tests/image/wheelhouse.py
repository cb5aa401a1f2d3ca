"""The wheels of the constraints, fetched by this machine's own pip and served to a build.

So a build needs nothing of how this machine reaches a package index: no address, no certificate, no path.
"""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from buildah import ROOT


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


def requirements(extra: str) -> list[str]:
    """What an extra of the project requires, and what builds it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    optional = project["project"]["optional-dependencies"]
    return [*project["build-system"]["requires"], *project["project"]["dependencies"], *optional[extra]]


def fetch(extra: str, wheels: Path) -> "subprocess.CompletedProcess[str]":
    """Download the wheels of an extra."""
    command: list[str | Path] = [
        sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", wheels,
        "--constraint", ROOT / "constraints.txt", *requirements(extra),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False)


@contextmanager
def serving(wheels: Path, configuration: Path) -> Iterator[str]:
    """Serve a directory to this machine alone, and write the pip configuration that takes wheels from there.

    Yields: the address.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(wheels)))
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    configuration.write_text(f"[global]\nno-index = true\nfind-links = {address}\n")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
