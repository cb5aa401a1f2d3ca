"""Indexes and ledgers that were edited, damaged or made up by somebody hostile."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small

from fer_prep.errors import UsageError
from fer_prep.output import read_index, refuse_foreign

pytest_plugins = ["small_fixtures"]

EDITED = "was edited or damaged: its content does not fit its index_sha256"


def entry(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda index: index["shards"][0].update(changes)


def value(key: str, new: Any) -> Callable[[dict[str, Any]], object]:
    def edit(index: dict[str, Any]) -> None:
        *sections, last = key.split(".")
        for section in sections:
            index = index[section]
        index[last] = new

    return edit


# edit, with the index' own hash made to fit -> how the sentences about the index begin
EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], list[str]]] = {
    "newer": (value("version", 2), ["was written by a newer fer-prep: format version 2, this one knows 1"]),
    "version": (value("version", "1"), ["version = '1': Input should be 1"]),
    "format": (value("format", "x"), ["format = 'x': Input should be 'fer-shards'"]),
    "no corpus": (lambda index: index.pop("corpus"), ["corpus is missing"]),
    "corpus": (value("corpus", "ckplus"), ["corpus is 'ckplus', but its recipe says 'manifest'"]),
    "aligner": (value("aligner", "openface"), ["aligner is 'openface', but its recipe says 'mesh'"]),
    "length": (value("clip.length", 16), ["clip.length is 16, but its recipe says 8"]),
    "stride": (value("clip.stride", 8), ["clip.stride is 8, but its recipe says 4"]),
    "stride of no kind": (value("clip.stride", True), ["clip.stride = True: Input should be a valid integer"]),
    "recipe": (value("recipe.align.face_size", 10**400), ["recipe.align.face_size = 1000"]),
    "recipe key": (value("recipe.more", 1), ["recipe.more = 1: Extra inputs are not permitted"]),
    "classes": (value("classes", ["joy", "joy"]), ["classes are named twice: 'joy'"]),
    "n_groups": (value("n_groups", 1), [f"{small.OTHER} is in group 2, but there are 1"]),
    "no groups": (value("n_groups", 0), ["n_groups = 0: Input should be greater than or equal to 1"]),
    "left_out": (value("left_out", []), ["left_out = []: Input should be a valid dictionary"]),
    "image": (value("image", {"name": "x", "digest": "sha256:1"}), ["image.digest = 'sha256:1': String should match"]),
    "nameless image": (value("image", {"digest": None}), ["image.name is missing"]),
    "surrogate": (value("corpus", "\ud800"), [EDITED]),
    "path": (entry(file="../x.h5"), ["shards.0.file = '../x.h5': a plain file name was expected"]),
    "absolute": (entry(file="/etc/passwd"), ["shards.0.file = '/etc/passwd': a plain file name was expected"]),
    "backslash": (entry(file="a\\b.h5"), ["shards.0.file = 'a\\\\b.h5': a plain file name was expected"]),
    "drive": (entry(file="c:b.h5"), ["shards.0.file = 'c:b.h5': a plain file name was expected"]),
    "parent": (entry(file=".."), ["shards.0.file = '..': a plain file name was expected"]),
    "control": (entry(file="a\n.h5"), ["shards.0.file = 'a\\n.h5': a plain file name was expected"]),
    "twice": (
        lambda index: index["shards"].append(index["shards"][1]), [f"shards are listed twice: '{small.OTHER}'"],
    ),
    "order": (lambda index: index["shards"].reverse(), ["the shards are not in the order of their names"]),
    "two groups": (
        lambda index: index["shards"].append(index["shards"][0] | {"file": "z.h5", "group": 2}),
        ["subject 'anna' is in the groups 1, 2: training and testing would share a person"],
    ),
    "hash": (entry(sha256="ABC"), ["shards.0.sha256 = 'ABC': String should match pattern"]),
    "size": (entry(bytes=-1), ["shards.0.bytes = -1: Input should be greater than or equal to 1"]),
    "float": (entry(n_frames=70.5), ["shards.0.n_frames = 70.5: Input should be a valid integer"]),
    "shards": (value("shards", {"a": 1}), ["shards = {'a': 1}: Input should be a valid list"]),
    "an entry": (value("shards", [1]), ["shards.0 = 1: Input should be a valid dictionary"]),
    "many": (value("shards", [1] * 30), [*["shards."] * 20, "and 10 more such values"]),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("quick", [True, False])
def test_an_index_that_contradicts_itself_is_found(shards: Path, edit: str, quick: bool) -> None:
    change, expected = EDITS[edit]
    try:
        small.edit_index(shards, change)
    except UnicodeEncodeError:  # the text that is no UTF-8: as JSON can write it
        content = (shards / "index.json").read_text(encoding="utf-8")
        (shards / "index.json").write_text(content.replace('"corpus": "manifest"', r'"corpus": "\ud800"', 1), "utf-8")
    result = small.verify_here(shards, quick=quick)
    found = [finding.sentence for finding in result.findings if finding.file == "index.json"]
    if edit == "surrogate":
        found = found[:1]
    assert len(found) == len(expected), found
    for sentence, beginning in zip(found, expected, strict=True):
        assert sentence.startswith(beginning)
    assert result.newer == (edit == "newer")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is damaged, or no index of fer-prep (Expecting value"),
        (b"\xff\xfe{}", "is damaged, or no index of fer-prep ('utf-8' codec"),
        (b"[" * 100_000, "is damaged, or no index of fer-prep (nested too deep)"),
        (b'{"a":' * 100_000, "is damaged, or no index of fer-prep (nested too deep)"),
        (b"[]", "is no index of fer-prep: a JSON object was expected"),
        (b'{"a": 1, "a": 2}', "is damaged, or no index of fer-prep (key 'a' twice in one object)"),
        (b'{"a": NaN}', "is damaged, or no index of fer-prep (NaN is no number of JSON)"),
        (b'{"a": 1e999}', "is damaged, or no index of fer-prep (the number 1e999 is too large)"),
        (b'{"a": ' + b"9" * 9999 + b"}", "is damaged, or no index of fer-prep (Exceeds the limit"),
    ],
)
def test_an_index_that_is_none_is_said_and_has_to_go_first(shards: Path, content: bytes, sentence: str) -> None:
    (shards / "index.json").write_bytes(content)
    result = small.verify_here(shards)
    assert len(result.findings) == 1
    assert result.findings[0].sentence.startswith(sentence)
    assert result.delete_first == ("index.json",)


def test_a_build_refuses_an_index_that_is_nested_too_deep(shards: Path) -> None:
    (shards / "index.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match="is no index of fer-prep; choose another --out, or delete it"):
        refuse_foreign(shards)
    assert read_index(shards) == {}


def test_an_index_that_was_edited_by_hand_does_not_fit_its_hash(shards: Path) -> None:
    path = shards / "index.json"
    content = path.read_text()
    path.write_text(content.replace('"unlabelled": 1', '"unlabelled": 2'))
    assert small.sentences(small.verify_here(shards)) == [f"index.json: {EDITED}"]
    path.write_text(content.replace('"group": 2', '"group": 1'))
    result = small.verify_here(shards)
    assert f"{small.OTHER}: group is 2; index.json says 1" in small.sentences(result)
    assert result.delete_first == ()  # a build writes the index anew; the shard is good


def test_another_layout_of_the_same_index_is_no_damage(shards: Path) -> None:
    path = shards / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert small.verify_here(shards).findings == ()


@pytest.mark.parametrize("key", ["n_recordings", "n_clips", "n_frames"])
def test_totals_that_are_not_those_of_the_shard_are_found(shards: Path, key: str) -> None:
    small.edit_index(shards, lambda index: index["shards"][0].update({key: index["shards"][0][key] + 1}))
    assert any(small.FILE in sentence for sentence in small.sentences(small.verify_here(shards)))
    # without opening a shard, the ledger knows
    found = small.sentences(small.verify_here(shards, quick=True))
    assert any("of subject 'anna'; index.json says" in sentence for sentence in found)


def line(number: int, old: str, new: str) -> Callable[[list[str]], None]:
    def edit(lines: list[str]) -> None:
        assert old in lines[number]
        lines[number] = lines[number].replace(old, new, 1)

    return edit


# rows: 1 long, 2 gaps, 3 still, 4 one, 5 short, 6 faceless, 7 unlabelled, 8 lost
LEDGERS: dict[str, tuple[Callable[[list[str]], object], list[str]]] = {
    "row gone": (lambda lines: lines.pop(2), ["has no row for recording 'anna/gaps.avi', which is stored in"]),
    "row twice": (lambda lines: lines.insert(2, lines[1]), ["recordings have two rows: 'anna/long.avi'"]),
    "order": (lambda lines: lines.insert(3, lines.pop(1)), [f"has the recordings of {small.FILE} in another order"]),
    "unknown": (
        lambda lines: lines.insert(4, lines[1].replace("long", "new")), ["tells of recordings that are in no shard: "],
    ),
    "subject": (
        line(4, ",ben,", ",anna,"),
        ["recording 'ben/one.avi' is in group 2, but its subject is in group 1", "recording 'ben/one.avi' has subject"],
    ),
    "label": (line(1, "joy", "anger"), ["recording 'anna/long.avi' has label 'anger'; manifest-sanna.h5 says 'joy'"]),
    "no class": (line(8, "joy", "pride"), ["recording 'ben/lost.avi' has the label 'pride', which is no class"]),
    "group": (line(8, ",2,", ",3,"), ["recording 'ben/lost.avi' is in group 3, but there are 2"]),
    "n_frames": (line(1, ",30,30,", ",31,30,"), ["recording 'anna/long.avi' has n_frames 31; manifest-sanna.h5 "]),
    "n_detected": (
        line(1, ",30,30,", ",30,31,"),
        ["recording 'anna/long.avi' has 31 frames with a face among 30", "recording 'anna/long.avi' has n_detected 31"],
    ),
    "skipped": (line(1, ",ok,", ",skipped,"), ["recording 'anna/long.avi' is 'skipped' with 6 clips"]),
    "failed": (
        line(6, ",skipped,", ",failed,"), ["recording 'ben/faceless.avi' is 'failed', but it is stored in manif"],
    ),
    "mended": (
        line(8, ",failed,", ",skipped,"), ["tells of recordings that are in no shard: 'ben/lost.avi'"],
    ),
    "no reason": (line(8, "truncated: 3 of 9 frames", ""), ["recording 'ben/lost.avi' failed without a reason"]),
    "seconds": (line(8, "0.100", "inf"), ["recording 'ben/lost.avi' has a negative or infinite number"]),
    "status": (line(8, ",failed,", ",lost,"), ["is no ledger of fer-prep (row 8, status = 'lost': Input should be"]),
    "number": (line(8, ",3,", ",three,"), ["is no ledger of fer-prep (row 8, n_frames = 'three': Input should be"]),
    "columns": (line(0, "status", "state"), ["is no ledger of fer-prep (columns 'recording,"]),
    "short row": (lambda lines: lines.append("x,y"), ["is no ledger of fer-prep (row 9 has 2 values; expected 10)"]),
    "quote": (lambda lines: lines.append('"x'), ["is no ledger of fer-prep (unexpected end of data)"]),
    "empty": (lambda lines: lines.clear(), ["is no ledger of fer-prep (columns ''; expected recording,"]),
}  # fmt: skip


@pytest.mark.parametrize("edit", LEDGERS)
def test_a_ledger_that_contradicts_the_shards_is_found(shards: Path, edit: str) -> None:
    path = shards / "ledger.csv"
    change, expected = LEDGERS[edit]
    lines = path.read_text(encoding="utf-8").splitlines()
    change(lines)
    path.write_text("".join(f"{text}\n" for text in lines) or "\n", encoding="utf-8")
    small.list_anew(shards)
    result = small.verify_here(shards)
    found = small.sentences(result)
    assert len(found) == len(expected), found
    for sentence, beginning in zip(found, expected, strict=True):
        assert sentence.startswith(f"ledger.csv: {beginning}")
    assert result.delete_first == (("ledger.csv",) if "no ledger" in expected[0] else ())


@pytest.mark.parametrize("quick", [True, False])
def test_a_ledger_that_is_not_the_listed_one_is_found(shards: Path, quick: bool) -> None:
    path = shards / "ledger.csv"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0.100", b"0.200", 1))
    assert small.sentences(small.verify_here(shards, quick=quick)) == []  # seconds differ from build to build
    path.write_bytes(content.replace(b"truncated: 3 of 9", b"truncated: 2 of 9", 1))
    edited = "ledger.csv: was edited or damaged: it is not the one that index.json knows"
    assert small.sentences(small.verify_here(shards, quick=quick)) == [edited]
    path.write_bytes(content + b"\n")
    (sentence,) = small.sentences(small.verify_here(shards, quick=quick))
    assert sentence == "ledger.csv: is no ledger of fer-prep (row 9 has 0 values; expected 10)"
    path.unlink()
    assert small.sentences(small.verify_here(shards, quick=quick)) == [
        "ledger.csv: is not there, but index.json lists it"
    ]
    path.mkdir()
    assert small.sentences(small.verify_here(shards, quick=quick)) == ["ledger.csv: is no file"]


def test_a_ledger_is_not_blamed_for_a_shard_that_cannot_be_read(shards: Path) -> None:
    (shards / small.FILE).write_bytes(b"")
    assert {finding.file for finding in small.verify_here(shards).findings} == {small.FILE}
