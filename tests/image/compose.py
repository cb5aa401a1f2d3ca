"""docker/compose.yaml, read as compose does: variables filled in, the commands of a service put together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from buildah import ROOT

FILE = ROOT / "docker" / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


@dataclass(frozen=True)
class Service:
    """How a service runs.

    Attributes:
        command: the whole command line.
        volumes: directory -> its place in the container.
    """

    command: tuple[str, ...]
    user: str
    environment: dict[str, str]
    volumes: dict[str, str]
    replicas: int
    depends_on: tuple[str, ...]


def services(variables: Mapping[str, str], *, entrypoint: list[str]) -> dict[str, Service]:
    """The services of the file.

    Args:
        variables: environment of the command.
        entrypoint: of the image, for services that name none.

    Raises:
        KeyError: a variable without which it cannot run is missing.
    """
    file = _filled(yaml.safe_load(FILE.read_text(encoding="utf-8")), variables)
    return {
        name: Service(
            command=(*map(str, said.get("entrypoint", entrypoint)), *map(str, said["command"])),
            user=str(said["user"]),
            environment={name: str(value) for name, value in said["environment"].items()},
            volumes={place: target for place, _, target in (volume.partition(":") for volume in said["volumes"])},
            replicas=int(said.get("deploy", {}).get("replicas", 1)),
            depends_on=tuple(said.get("depends_on", ())),
        )
        for name, said in file["services"].items()
    }


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, variables) for item in value]
    return _VARIABLE.sub(lambda found: _value(found, variables), value) if isinstance(value, str) else value


def _value(found: "re.Match[str]", variables: Mapping[str, str]) -> str:
    name, rule, text = found.groups()
    if given := variables.get(name):
        return given
    if rule != "-":
        raise KeyError(name)
    return str(text)
