"""Buildah as a user types it, with chroot isolation and a storage of its own: without a daemon, without a registry."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
SLIM = "docker.io/library/debian:bookworm-slim"
SOURCES = "deb http://deb.debian.org/debian bookworm main\n"
EPOCH = 1767225600  # 2026-01-01


class Buildah:
    """Containers and images below one directory; `clear` removes them."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.of_this_machine: tuple[str, ...] = ()  # options of a build that say where packages come from
        self._words = ["buildah", f"--root={home / 'storage'}", f"--runroot={home / 'run'}"]
        driver = "overlay"
        if self("from", "scratch", driver=driver, check=False).returncode:
            driver = "vfs"  # slower, and larger on the disk
        self._words.append(f"--storage-driver={driver}")

    def __call__(
        self, *words: str | Path, driver: str | None = None, check: bool = True, timeout_s: float = 1500
    ) -> "subprocess.CompletedProcess[str]":
        """One command, to its end."""
        command = [*self._words, *([f"--storage-driver={driver}"] if driver else []), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)
        assert not (check and done.returncode), f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done

    def build(self, tag: str, *options: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """`docker build` of this checkout, with times as of `EPOCH`."""
        return self(
            "build", "--isolation=chroot", "--network=host", "--pull-never", "--layers", f"--timestamp={EPOCH}",
            f"--build-arg=SOURCE_DATE_EPOCH={EPOCH}", f"--file={DOCKERFILE}", f"--tag={tag}",
            *self.of_this_machine, *options, ROOT, check=check,
        )  # fmt: skip

    def from_image(self, tag: str, *options: str) -> str:
        """A container; its name."""
        return self("from", "--pull-never", *options, tag).stdout.strip()

    def inspect(self, tag: str) -> dict[str, Any]:
        """Keys Config (of the image, as text), Manifest, FromImageID, …"""
        found: dict[str, Any] = json.loads(self("inspect", "--type=image", tag).stdout)
        return found

    def config(self, tag: str) -> dict[str, Any]:
        """What the image says of itself: User, Env, Entrypoint, Labels, …"""
        config: dict[str, Any] = json.loads(self.inspect(tag)["Config"])["config"]
        return config

    def layers(self, tag: str) -> list[tuple[str, int]]:
        """(what made it, bytes) of every layer, not compressed."""
        found = self.inspect(tag)
        makers = [step["created_by"] for step in json.loads(found["Config"])["history"] if not step.get("empty_layer")]
        sizes = [layer["size"] for layer in json.loads(found["Manifest"])["layers"]]
        return list(zip(makers, sizes, strict=True))

    def mount(self, container: str) -> Path:
        return Path(self("mount", container).stdout.strip())

    def run_words(
        self,
        container: str,
        command: Sequence[str],
        *,
        volumes: Mapping[Path, str] | None = None,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> list[str]:
        """The command line that runs something in a container.

        Args:
            volumes: directory -> its place in the container; `:ro` behind it is understood.
        """  # fmt: skip
        return [
            *self._words, "run", "--isolation=chroot", "--network=host",
            *(f"--volume={directory}:{place}" for directory, place in (volumes or {}).items()),
            *(f"--env={name}={value}" for name, value in (environment or {}).items()),
            *([f"--user={user}"] if user else []), container, "--", *command,
        ]  # fmt: skip

    def run(
        self, container: str, *command: str, timeout_s: float = 1500, **places: Any
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in a container. Buildah's last words are on standard error, too."""
        words = self.run_words(container, command, **places)
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=timeout_s)

    def clear(self) -> None:
        """Give the disk space back."""
        self("rm", "--all", check=False)
        subprocess.run(["umount", self._home / "storage" / "overlay"], check=False, capture_output=True)
        shutil.rmtree(self._home, ignore_errors=True)


def debian_slim(buildah: Buildah, home: Path) -> None:
    """Debian's own packages, less what the published image leaves out, under the name of that image."""
    root = home / "bookworm"
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", "bookworm", root, mirror()],
        capture_output=True, text=True, check=False, env={**os.environ, "LANG": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for place in ("var/lib/apt/lists", "var/cache/apt", "usr/share/doc", "usr/share/man", "usr/share/info", "var/log"):
        shutil.rmtree(root / place)
        (root / place).mkdir()
    shutil.rmtree(root / "usr/share/locale")
    (root / "etc/apt/sources.list").write_text(SOURCES)
    container = buildah("from", "scratch").stdout.strip()
    buildah("copy", "--quiet", container, root, "/")
    buildah("commit", "--quiet", container, SLIM)
    buildah("rm", container)
    shutil.rmtree(root)


def sources(home: Path) -> Path:
    """A sources.list with this machine's mirror."""
    path = home / "sources.list"
    path.write_text(f"deb {mirror()} bookworm main\n")
    return path


def mirror() -> str:
    """Where this machine gets the packages of bookworm; Debian's own address if it is another release."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Codename: bookworm", "Created-By: Packages"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return next(iter(done.stdout.splitlines()), "http://deb.debian.org/debian/")
