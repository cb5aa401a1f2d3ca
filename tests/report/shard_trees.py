"""Small shard directories with any names, made by the writer itself, and a reader of the pages about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from itertools import groupby
from pathlib import Path

import numpy as np

from fer_prep.align.track import FaceTrack
from fer_prep.clips import Clip
from fer_prep.ledger import LedgerRow, write_ledger
from fer_prep.output import write_index
from fer_prep.recipe import AlignRecipe, ClipRecipe, Recipe
from fer_prep.shards import ShardHead, StoredRecording, write_shard

VOID = {"meta", "img", "br"}


@dataclass(frozen=True)
class Take:
    """A recording; a clip begins at every second frame of its first `n_clips`."""

    subject: str
    group: int
    id: str
    label: int
    n_frames: int = 8
    faceless: tuple[int, ...] = ()
    n_clips: int = 2
    fps: float = 25.0
    speed_px: float = 1.0


def write_directory(
    directory: Path, takes: Sequence[Take], *, classes: tuple[str, ...], n_groups: int, size: int = 16, length: int = 4,
    corpus: str = "manifest", failed: Sequence[LedgerRow] = (), left_out: Mapping[str, int] | None = None,
) -> Path:  # fmt: skip
    """Write shards, ledger and index. Takes of one subject lie side by side."""
    recipe = Recipe(
        corpus=corpus,
        align=AlignRecipe(backend="mesh", face_size=size),
        clips=ClipRecipe(length=length, stride=2, min_detected=0),
    )
    directory.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, ((subject, group), own) in enumerate(groupby(takes, key=lambda take: (take.subject, take.group))):
        head = ShardHead(corpus, subject, group, classes, recipe, {"fer_prep": "0"}, key=f"{number:064}")
        entry = write_shard(directory / f"s{number}.h5", head, (stored(take, size, length) for take in own))
        assert entry is not None
        entries.append(entry)
    rows = [
        LedgerRow(
            take.id, take.subject, classes[take.label] if take.label >= 0 else "", take.group,
            "ok" if take.n_clips else "skipped", "" if take.n_clips else "no clip: none fits", take.n_frames,
            take.n_frames - len(take.faceless), take.n_clips, 0.0,
        )
        for take in takes
    ]  # fmt: skip
    write_ledger(directory, [*rows, *failed])
    write_index(
        directory, corpus=corpus, classes=classes, n_groups=n_groups, recipe=recipe, versions={"fer_prep": "0"},
        left_out=left_out or {}, rows=[*rows, *failed], entries=entries,
    )  # fmt: skip
    return directory


def stored(take: Take, size: int, length: int) -> StoredRecording:
    """Frames of one grey each, counting up; flow to the right."""
    n = take.n_frames
    rgb = np.repeat(np.arange(n, dtype=np.uint8) * 9 + 40, size * size * 3).reshape(n, size, size, 3)
    detected = ~np.isin(np.arange(n), take.faceless)
    rgb[~detected] = 0
    flow = np.zeros((n, size, size, 2), np.int16)
    flow[1:, :, :, 0] = round(256 * take.speed_px)
    transform = np.where(detected[:, None, None], np.eye(2, 3), np.nan)
    track = FaceTrack(
        rgb, detected, detected.astype(np.float32), np.full((n, 68, 2), np.nan, np.float32),
        transform.astype(np.float32),
    )  # fmt: skip
    clips = tuple(Clip(2 * k, min(length, n - 2 * k)) for k in range(take.n_clips))
    return StoredRecording(
        id=take.id, path=take.id, sha256="0" * 64, label=take.label, fps=take.fps, track=track, flow_NHW2=flow,
        saturated=3, clips=clips,
    )  # fmt: skip


def failed_row(name: str, subject: str, label: str, reason: str) -> LedgerRow:
    return LedgerRow(name, subject, label, 1, "failed", reason, 0, 0, 0, 0.0)


def many(take: Take, n: int) -> list[Take]:
    """Takes of as many subjects, each a group of their own."""
    return [replace(take, subject=f"S{k:03}", group=k + 1, id=f"S{k:03}/1.avi") for k in range(n)]


class PageReader(HTMLParser):
    """A page as texts, tables and pictures; complains of tags that are not closed.

    Attributes:
        tables: by the heading of the section and the number in it: rows of cells.
        addresses: all values of src and href.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tables: list[list[list[str]]] = []
        self.pictures: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name in values)
        if tag == "img":
            assert values["alt"]
            self.pictures.append(values["src"] or "")
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag == "small":
            self.handle_data(" ")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text += data
        if "td" in self._open or "th" in self._open:
            self.tables[-1][-1][-1] += data

    def table(self, *heading: str) -> list[list[str]]:
        """The rows of the table whose heading begins so."""
        return next(table[1:] for table in self.tables if table[0][: len(heading)] == list(heading))
