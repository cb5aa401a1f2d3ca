"""The user's own videos: a CSV beside them with `file,subject,label`, and optionally `group,start_frame,end_frame`."""

import csv
import posixpath
from pathlib import Path

from fer_prep.corpora.recording import Corpus, Recording
from fer_prep.errors import UsageError
from fer_prep.legible import legible

FILE_NAME = "manifest.csv"
REQUIRED = ("file", "subject", "label")
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
ZIP, OLE = b"PK\3\4", b"\xd0\xcf\x11\xe0"  # .xlsx and .ods begin with the one, .xls with the other
KNOWN = (*REQUIRED, "group", "start_frame", "end_frame")


def scan(root: Path, manifest: Path) -> Corpus:
    """Recordings named in a manifest; their files are not looked at.

    A file may be a directory of numbered images. An empty label means unlabelled. `start_frame` is the first frame that
    counts (from 0), `end_frame` the one after the last. Further columns are kept as facts of the recording. Classes are
    the labels in alphabetical order.

    Args:
        root: what `file` is relative to.
        manifest: the CSV; a relative path is tried below the root first, then below the working directory.

    Raises:
        UsageError: the manifest is missing or malformed, or names the same part of a file twice.
    """
    path = root / manifest if (root / manifest).is_file() else manifest
    recordings = tuple(_recording(root, path, number, row) for number, row in _rows(path))
    _check_unique(path, recordings)
    classes = tuple(sorted({recording.label for recording in recordings if recording.label is not None}))
    return Corpus("manifest", root, classes, recordings)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """(line number, row) of every row; the header is line 1."""
    try:
        with path.open("rb") as begun:
            if begun.read(len(ZIP)) in (ZIP, OLE):
                raise UsageError(
                    f"{path}: manifest is a workbook, as of Excel; save its sheet as CSV UTF-8, and give that"
                )
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            header = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = header
            _check_columns(path, header)
            repeated = [name for name in header if name and header.count(name) > 1]
            if repeated:
                raise UsageError(f"{path}: manifest has two columns {repeated[0]!r}; each column may stand there once")
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise UsageError(f"{path}: manifest cannot be read ({error.strerror}); give a CSV with --manifest") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: manifest is no UTF-8 CSV ({error}); save it as CSV UTF-8") from error
    if not rows:
        raise UsageError(f"{path}: manifest has a header but no rows; write one for each video")
    return rows


def _check_columns(path: Path, header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if not missing:
        return
    for sign, name in SEPARATORS.items():
        if len(header) == 1 and set(REQUIRED) <= {part.strip(' "') for part in header[0].split(sign)}:
            raise UsageError(f"{path}: manifest has {name} between its columns; save it as CSV with commas")
    raise UsageError(
        f"{path}: manifest has the columns {legible(', '.join(header)) or 'none'}, not "
        f"{', '.join(missing)}; its first line must name at least {', '.join(REQUIRED)}"
    )


def _recording(root: Path, path: Path, number: int, row: dict[str, str]) -> Recording:
    where = f"{path}, line {number}"
    if None in row or None in row.values():
        raise UsageError(
            f"{where}: the row has {'more' if None in row else 'fewer'} fields than the first line; "
            'a value with a comma in it stands in quotes ("a,b.mp4")'
        )
    values = {name: value.strip() for name, value in row.items()}
    for name in REQUIRED:
        if not values[name] and name != "label":
            raise UsageError(f"{where}: {name} is empty; every row names a file and its subject")
        if not values[name].isprintable():
            raise UsageError(f"{where}: {name} is {values[name]!r}; a name without control characters was expected")
    start = _integer(where, "start_frame", values.get("start_frame", "")) or 0
    end = _integer(where, "end_frame", values.get("end_frame", ""))
    if start < 0 or (end is not None and end <= start):
        raise UsageError(f"{where}: frames {start} to {end} are no part of a video; end_frame comes after start_frame")
    file = posixpath.normpath(values["file"].replace("\\", "/"))
    if file.startswith(("/", "../")) or file == "..":
        raise UsageError(f"{where}: file is {values['file']!r}; a path below --root, relative to it, was expected")
    part = f"#{start}-{'' if end is None else end}" if start or end is not None else ""
    return Recording(
        id=file + part,
        file=file,
        path=root / file,
        subject=values["subject"],
        label=values["label"] or None,
        group=_integer(where, "group", values.get("group", "")),
        start_frame=start,
        end_frame=end,
        extra=tuple((name, value) for name, value in values.items() if name and name not in KNOWN),
    )


def _integer(where: str, name: str, text: str) -> int | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{where}: {name} is {text!r}; a whole number was expected") from None


def _check_unique(path: Path, recordings: tuple[Recording, ...]) -> None:
    seen: set[str] = set()
    for recording in recordings:
        if recording.id in seen:
            raise UsageError(f"{path}: {recording.id} is listed twice; each part of a file may stand in one row only")
        seen.add(recording.id)
