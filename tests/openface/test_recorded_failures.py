"""The 54 recorded failures (and controls) of the real OpenFace, and what the wrapper makes of each of them.

A case is either played: its input is made as recorded and goes through the wrapper; or it is excluded: nothing that the
wrapper does can bring it about. For what is excluded there is also what the wrapper would call it all the same: a
program says and does what OpenFace said and did.
"""

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import test_standin_failures as makers
from pydantic import ValidationError
from standin_films import Picture, h264
from standin_inputs import face_points
from standin_install import install
from standin_install import runs as starts_of
from standin_play import Act

import fer_prep
from fer_prep.align.choose import choose_aligner
from fer_prep.align.mesh import MeshFinder
from fer_prep.align.openface import run as running
from fer_prep.align.openface.batch import Made, Result, Wanted, align_batch
from fer_prep.align.openface.probe import PICTURE, try_out
from fer_prep.align.openface.program import OpenFace, with_model
from fer_prep.errors import FerPrepError, RecordingError
from fer_prep.recipe import AlignRecipe

RECIPE = AlignRecipe(backend="openface", landmark_model="clnf")
FLAGS = {"-f", "-fdir", "-of", "-out_dir", "-2Dfp", "-simalign", "-simsize", "-mloc", "-nomask"}
CASES = makers.CASES
Command = list[str]


# ----------------------------------------------------------------------------------------------------------- the table


@dataclass(frozen=True)
class Tracked:
    """A track of so many frames; `found`: those with a face, counted from 1; `remark`: of the wrapper."""

    n_frames: int
    found: str
    remark: str = ""


@dataclass(frozen=True)
class Refused:
    """An error of this kind whose text holds these words."""

    kind: str
    words: str


@dataclass(frozen=True)
class Played:
    """What becomes of each input. `starts`: of OpenFace; 0: our decoder refuses before, with a better reason."""

    outcomes: dict[str, Tracked | Refused]
    starts: int = 1


@dataclass(frozen=True)
class Excluded:
    """Why it cannot happen, what every command line has that shows it, and what it would be called nevertheless."""

    why: str
    shown: Callable[[Command], bool]
    called: Refused | None = None


@dataclass(frozen=True)
class Special:
    """It has a test of its own, of this name."""

    test: str


def values(command: Command, flag: str) -> list[str]:
    return [command[k + 1] for k, word in enumerate(command) if word == flag]


def known_flags_only(command: Command) -> bool:
    return {word for word in command if word.startswith("-")} <= FLAGS


def has_inputs(command: Command) -> bool:
    return bool(values(command, "-f") + values(command, "-fdir"))


def each_input_has_its_kind_of_flag(command: Command) -> bool:
    """The probe's and the batches' links are gone by now: they lie in the private directory."""
    files, folders = values(command, "-f"), values(command, "-fdir")
    return all(Path(path).is_file() for path in files) and all("fer-prep-openface-" in path for path in folders)


def own_out_dir(command: Command) -> bool:
    """Absolute, in a directory of this run alone, which is gone."""
    (out,) = map(Path, values(command, "-out_dir"))
    return out.is_absolute() and out.parent.name.startswith("fer-prep-openface-") and not out.parent.exists()


def plain_names(command: Command) -> bool:
    """One per input, all different, without folders and dots."""
    names = values(command, "-of")
    n_inputs = len(values(command, "-f") + values(command, "-fdir"))
    return len(names) == len(set(names)) == n_inputs and all(name.isalnum() for name in names)


def calls_feature_extraction(command: Command) -> bool:
    return Path(command[0]).name == "FeatureExtraction"


def decoded(name: str, kind: str, words: str) -> Played:
    """Our decoder refuses before OpenFace is started."""
    return Played({name: Refused(kind, words)}, starts=0)


def decoded_after(name: str, kind: str, words: str) -> Played:
    """The header is good: OpenFace has run once when our decoder refuses; that is not tried again."""
    return Played({name: Refused(kind, words)})


def tracked(name: str, n_frames: int, found: str, remark: str = "") -> Played:
    return Played({name: Tracked(n_frames, found, remark)})


OTHER_PROGRAM = Excluded("FaceLandmarkImg is another program, which is never called", calls_feature_extraction)
PRIVATE = "each run has a new directory of its own, which is made by us before the start"
NOT_PASSED = "is never among the flags"

TABLE: dict[str, Played | Excluded | Special] = {
    "argv0_without_directory": Excluded(
        "the program is called by its absolute path, wherever it was found",
        lambda command: Path(command[0]).is_absolute(),
        Refused("OpenFace lacks its model", "Could not find the landmark detection model to load"),
    ),
    "bad_image_format_fmt22": Excluded(
        f"-format_aligned {NOT_PASSED}", known_flags_only, Refused("OpenFace died", "by SIGABRT")
    ),
    "batch_mid_missing": Played(
        {
            "one.mp4": Tracked(1, "1"),
            "nope.avi": Refused("no such file", "nope.avi does not exist"),  # left out of the batch
            "ok20.mp4": Tracked(20, "1-20"),
        }
    ),
    "batch_ok": Played({"ok20.mp4": Tracked(20, "1-20"), "one.mp4": Tracked(1, "1")}),
    "batch_with_of": Excluded("names of outputs are ours: numbers, without folders and dots", plain_names),
    "cen_weights_missing": Special("test_a_missing_model_or_its_weights_are_told_before_anything_runs"),
    "f_is_directory": Excluded(
        "what is a directory is given to -fdir",
        each_input_has_its_kind_of_flag,
        Refused("OpenFace cannot open it", "Failed to open the video file at location"),
    ),
    "fdir_corrupt_image": decoded_after("seq_corrupt", "damaged", "image002.jpg cannot be decoded"),
    "fdir_empty": decoded("empty", "no frames", "empty holds no image"),
    "fdir_is_file": Excluded(
        "what is a file is given to -f", each_input_has_its_kind_of_flag, Refused("OpenFace died", "by SIGABRT")
    ),
    "fdir_missing": decoded("nodir", "no such file", "nodir does not exist"),
    "fdir_mixed_sizes": decoded_after("seq_mixed", "mixed sizes", "image001.jpg is 160×120"),
    "fdir_uppercase_ext": tracked("seq_upper", 4, "1-4"),  # it is shown links in small letters
    "flick4": tracked("flick4.mp4", 24, ""),
    "gap20": tracked("gap20.mp4", 40, "1-10 31-40"),
    "headless_vis_track": Excluded(
        f"-vis-track {NOT_PASSED}", known_flags_only, Refused("OpenFace died", "by SIGABRT")
    ),
    "img_batch_mid_missing": OTHER_PROGRAM,
    "img_dir_empty": OTHER_PROGRAM,
    "img_dir_missing": OTHER_PROGRAM,
    "img_missing": OTHER_PROGRAM,
    "img_noface": OTHER_PROGRAM,
    "img_ok": OTHER_PROGRAM,
    "late20": tracked("late20.mp4", 40, "25-40"),
    "late20_nobadaligned": Excluded(f"-nobadaligned {NOT_PASSED}", known_flags_only),
    # both decoders skip the frame with the hole; one lost frame of 20 is within what containers miscount
    "midcorrupt": tracked(
        "midcorrupt.avi", 19, "1-19", "fewer frames than declared: 19 of 20; faces that only OpenFace sees: frames 1-19"
    ),
    "mloc_missing": Special("test_a_missing_model_or_its_weights_are_told_before_anything_runs"),
    "no_arguments": Excluded(
        "there are always arguments", lambda command: len(command) > 1, Refused("OpenFace wrote nothing", "no table")
    ),
    "no_input": Excluded(
        "without inputs it is not started", has_inputs, Refused("OpenFace wrote nothing", "there is no table of it")
    ),
    "noface40": tracked("noface40.mp4", 40, ""),
    "noface40_nobadaligned": Excluded(f"-nobadaligned {NOT_PASSED}", known_flags_only),
    "one": tracked("one.mp4", 1, "1"),
    "one_cpu_deadlock": Special("test_a_batch_with_one_visible_cpu_ends_by_the_time_limit"),
    "outdir_create_denied": Excluded(
        PRIVATE,
        own_out_dir,
        Refused("OpenFace cannot write", "create_directory: Permission denied"),
    ),
    "outdir_is_file": Excluded(
        PRIVATE, own_out_dir, Refused("OpenFace cannot write", "could not open the output file")
    ),
    "outdir_parent_is_file": Excluded(
        PRIVATE, own_out_dir, Refused("OpenFace cannot write", "create_directory: Not a directory")
    ),
    "outdir_write_denied": Excluded(
        PRIVATE, own_out_dir, Refused("OpenFace cannot write", "could not open the output file")
    ),
    "rot180": tracked("rot180.mp4", 20, ""),
    # OpenFace calls frames 2-20 found at 0.98, fitted upright to a face that lies: the second opinion refuses them
    "rot90": tracked("rot90.mp4", 20, "", "implausible faces of OpenFace not used: 19 frames (2-20)"),
    "sigterm_midway": Special("test_a_terminated_openface_is_named_by_its_signal_and_its_rows_are_not_used"),
    "simsize_not_a_number": Excluded(
        "the recipe's face size is a whole number of 16 … 1024",
        lambda command: all(size.isdecimal() for size in values(command, "-simsize")),
        Refused("OpenFace died", "by SIGABRT"),
    ),
    "small48": tracked("small48.avi", 12, ""),
    "small64": tracked("small64.avi", 12, ""),
    "small64_nobadaligned": Excluded(f"-nobadaligned {NOT_PASSED}", known_flags_only),
    "small80": tracked("small80.avi", 12, "1-12"),
    "trunc": decoded_after("trunc.avi", "truncated", "10 of 20 frames"),
    "unicode_and_spaces": tracked("vidéo é 1.mp4", 1, "1"),
    "unknown_flag": Excluded("all flags are known", known_flags_only),
    "unopenable_audio_mp4": decoded("audio.mp4", "no video stream", "audio.mp4 holds audio only"),
    "unopenable_headonly_avi": decoded("headonly.avi", "cannot be opened", "is no complete video file"),
    "unopenable_nope_avi": decoded("nope.avi", "no such file", "nope.avi does not exist"),
    "unopenable_random_avi": decoded("random.avi", "cannot be opened", "is no complete video file"),
    "unopenable_text_avi": decoded("text.avi", "cannot be opened", "is no complete video file"),
    "unopenable_zero_avi": decoded("zero.avi", "empty file", "zero.avi has 0 bytes"),
    "vanish20": tracked("vanish20.mp4", 40, "1-20"),
}
PLAYED = {name: row for name, row in TABLE.items() if isinstance(row, Played)}
EXCLUDED = {name: row for name, row in TABLE.items() if isinstance(row, Excluded)}
SAID = {name: row.called for name, row in EXCLUDED.items() if row.called}
# what our decoder refuses may be a thing that OpenFace alone cannot open, with the same words
SAID |= {
    name: Refused("OpenFace cannot open it", words)
    for words, names in {
        "Failed to open the video file": [name for name in TABLE if name.startswith("unopenable_")],
        "No images found in the directory": ["fdir_empty", "fdir_uppercase_ext"],
        "Provided directory does not exist": ["fdir_missing"],
    }.items()
    for name in names
}
SAID["mloc_missing"] = Refused("OpenFace lacks its model", "Could not find the landmark detection model to load")
SAID["cen_weights_missing"] = Refused("OpenFace lacks the weights of its model", "Could not find CEN patch experts")


# ---------------------------------------------------------------------------------------------------------- the inputs


@cache
def face(width: int = 320, height: int = 240) -> Picture:
    """A real face, moved to where the stand-in claims one: the second opinion agrees with it."""
    picture = cv2.imread(str(PICTURE))
    assert picture is not None
    seen = MeshFinder().find(np.ascontiguousarray(picture[:, :, ::-1]))
    assert seen is not None
    points_68x3 = np.c_[np.asarray(seen.points_68x2, np.float64), np.ones(68)]
    there_68x2 = face_points(np.zeros((height, width, 3), np.uint8))
    matrix_3x2 = np.linalg.lstsq(points_68x3[17:], there_68x2[17:], rcond=None)[0]
    moved = cv2.warpAffine(picture, matrix_3x2.T, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.uint8, copy=False)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """The recorded inputs by name, each made once, after its description; some are recorded as not being there."""
    home = tmp_path_factory.mktemp("films")

    def made(name: str) -> Path:
        path = home / name
        if path.exists():
            return path
        with pytest.MonkeyPatch.context() as patch:
            if name != "midcorrupt.avi":  # whose frames survive or not by its bytes
                patch.setattr(makers, "picture", face)
                patch.setattr(makers, "FACE", face())
            if name == "rot90.mp4":
                h264(path, [np.ascontiguousarray(np.rot90(face(), -1))] * 20)
            else:
                makers.film(name, path)
        return path

    yield made
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def finder() -> MeshFinder:
    return MeshFinder()


def wanted_by(case_name: str, home: Path, films: Callable[[str], Path]) -> dict[str, Wanted]:
    """The inputs of a case, in their order, at places that are named as recorded."""
    wanted = {}
    for given in CASES[case_name]["inputs"]:
        path = Path(given.replace("{IN}", str(home / "in")))
        path.parent.mkdir(parents=True, exist_ok=True)
        ready = films(path.name)
        if ready.exists():
            path.symlink_to(ready)
        wanted[path.name] = Wanted(path)
    return wanted


def standin(home: Path, play: Act | Sequence[Act] | None = None) -> OpenFace:
    return with_model(install(home / "openface", play=play).resolve(), "clnf")


def script(home: Path, lines: str) -> OpenFace:
    """A program of our own; $STANDIN is the stand-in, with its models beside it, and $HERE where it lies."""
    behind = install(home / "behind").resolve()
    program = install(home / "openface").resolve()
    program.write_text(f"#!/bin/sh\nulimit -c 0\nSTANDIN='{behind}'\nHERE='{home}'\n{lines}")
    return with_model(program, "clnf")


def parrot(home: Path, case_name: str, rc: int) -> OpenFace:
    """A program that says what OpenFace said, ends with this code (negative: by this signal), and writes nothing."""
    case = CASES[case_name]
    home.mkdir()
    for stream in ("stdout", "stderr"):
        (home / stream).write_text(case[stream].replace("{BIN}", "/opt/OpenFace/build/bin"))
    end = f"kill -{-rc} $$" if rc < 0 else f"exit {rc}"
    return script(home, f'echo >> "$HERE/starts"\ncat "$HERE/stderr" >&2\ncat "$HERE/stdout"\n{end}\n')


def frames(text: str) -> list[int]:
    """'1-3 7' -> 1, 2, 3, 7."""
    found: list[int] = []
    for part in text.split():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def verdict(result: Result) -> tuple[str, int, list[int]]:
    if isinstance(result, RecordingError):
        return result.kind, result.n_frames, []
    return "made", result.track.n_frames, (np.flatnonzero(result.track.detected_N) + 1).tolist()


def check(result: Result, expected: Tracked | Refused) -> None:
    if isinstance(expected, Tracked):
        assert isinstance(result, Made), result
        assert verdict(result) == ("made", expected.n_frames, frames(expected.found)), result.remark
        assert result.remark == expected.remark
    else:
        assert isinstance(result, RecordingError), result
        assert result.kind == expected.kind, result
        assert expected.words in str(result)


# ----------------------------------------------------------------------------------------------------------- the tests


@pytest.mark.usefixtures("openface")
def test_the_table_names_every_recorded_case_and_no_other() -> None:
    assert len(TABLE) == 54
    assert sorted(TABLE) == sorted(CASES)
    assert {row.test for row in TABLE.values() if isinstance(row, Special)} <= set(globals())
    for name, row in PLAYED.items():
        assert list(row.outcomes) == [Path(given).name for given in CASES[name]["inputs"]]


@pytest.mark.usefixtures("openface")
@pytest.mark.parametrize("name", sorted(PLAYED))
def test_a_recorded_input_becomes_a_track_or_a_reason(
    name: str, films: Callable[[str], Path], tmp_path: Path, finder: MeshFinder
) -> None:
    wanted = wanted_by(name, tmp_path, films)
    openface = standin(tmp_path, makers.TOLD.get(name))
    results = align_batch(list(wanted.values()), openface, RECIPE, finder)
    for result, (input_name, expected) in zip(results, PLAYED[name].outcomes.items(), strict=True):
        assert str(wanted[input_name].path) in str(result) or isinstance(result, Made)
        check(result, expected)
    assert len(starts_of(openface.program)) == PLAYED[name].starts


@pytest.mark.usefixtures("openface")
@pytest.mark.parametrize("name", sorted(name for name in PLAYED if name != "rot90"))
def test_the_tables_faces_are_those_that_openface_found_with_an_image(name: str) -> None:
    for input_name, expected in PLAYED[name].outcomes.items():
        table = CASES[name]["csv_rows"].get(f"{Path(input_name).stem}.csv", [])
        if isinstance(expected, Tracked) and table:
            found = [row[0] for row in table if row[3] == "1" and float(row[2]) >= 0.725 and row[5] == "face"]
            assert (expected.n_frames, frames(expected.found)) == (len(table), found)


@pytest.fixture(scope="module")
def commands(
    openface: Path, films: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, finder: MeshFinder
) -> list[Command]:
    """All command lines of a trial, of batches of videos, directories and refused inputs, and of second tries."""
    home = tmp_path_factory.mktemp("commands")
    program = install(home / "openface", play={"input": "ok20", "rc": 1, "times": 2})
    aligner = choose_aligner(RECIPE, program)
    assert aligner.openface is not None
    twin = home / "other" / "ok20.mp4"
    twin.parent.mkdir()
    shutil.copy(films("ok20.mp4"), twin)
    paths = [*map(films, ("one.mp4", "ok20.mp4", "seq12", "nope.avi", "seq_upper", "rot90.mp4")), twin]
    for recipe in (RECIPE, RECIPE.model_copy(update={"mask": False, "face_size": 64})):
        results = align_batch([Wanted(path) for path in paths], aligner.openface, recipe, finder)
        assert [verdict(result)[0] for result in results] == ["made"] * 3 + ["no such file"] + ["made"] * 3
    return [start["argv"] for start in starts_of(program)]


@pytest.mark.parametrize("name", sorted(EXCLUDED))
def test_a_case_is_excluded_by_every_command_line(name: str, commands: list[Command]) -> None:
    assert len(commands) > 5
    assert [command for command in commands if not EXCLUDED[name].shown(command)] == []
    assert EXCLUDED[name].why


def test_no_two_runs_share_a_directory_and_all_ask_for_points_and_faces_only(commands: list[Command]) -> None:
    homes = [values(command, "-out_dir")[0] for command in commands]
    assert len(set(homes)) == len(homes)
    for command in commands:
        assert {"-2Dfp", "-simalign"} <= set(command)
        assert len(values(command, "-mloc")) == len(values(command, "-simsize")) == 1
        assert Path(values(command, "-mloc")[0]).is_absolute()


def test_a_recorded_flag_that_the_wrapper_never_passes_would_be_noticed() -> None:
    good = ["/o/FeatureExtraction", "-f", "/a.mp4", "-of", "000000", "-out_dir", "/tmp/x/out"]
    assert known_flags_only(good)
    assert plain_names(good)
    for case_name, flag in (("unknown_flag", "-frobnicate"), ("headless_vis_track", "-vis-track")):
        row = EXCLUDED[case_name]
        assert not row.shown([*good, flag])
    assert not plain_names([*good[:3], "-of", "sub/second"])
    assert not own_out_dir(good)


@pytest.mark.usefixtures("openface")
@pytest.mark.parametrize("name", sorted(SAID))
def test_what_cannot_happen_has_its_name_if_it_happens(
    name: str, films: Callable[[str], Path], tmp_path: Path, finder: MeshFinder
) -> None:
    hopeless = SAID[name].kind.startswith("OpenFace lacks")
    for rc in CASES[name].get("rc_seen", [CASES[name]["rc"]]):
        home = tmp_path / str(rc)
        (result,) = align_batch([Wanted(films("one.mp4"))], parrot(home, name, rc), RECIPE, finder)
        check(result, SAID[name])
        assert len((home / "starts").read_text()) == (1 if hopeless else 2)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            'rmdir out; : > out; exec "$STANDIN" "$@"',
            Refused("OpenFace cannot write", "could not open the output file"),
        ),
        ('"$STANDIN" "$@"; rm -r out', Refused("OpenFace wrote nothing", "there is no table")),
    ],
)
def test_an_out_directory_that_is_lost_under_way_is_no_track(
    lines: str, expected: Refused, films: Callable[[str], Path], tmp_path: Path, finder: MeshFinder
) -> None:
    (result,) = align_batch([Wanted(films("one.mp4"))], script(tmp_path, lines), RECIPE, finder)
    check(result, expected)


def test_nothing_is_started_without_an_input(tmp_path: Path, finder: MeshFinder) -> None:
    openface = standin(tmp_path)
    assert align_batch([], openface, RECIPE, finder) == []
    (result,) = align_batch([Wanted(tmp_path / "nope.avi")], openface, RECIPE, finder)
    assert verdict(result)[0] == "no such file"
    assert starts_of(openface.program) == []


def test_a_face_size_that_is_no_number_is_no_recipe() -> None:
    for size in ("abc", 0, -1, 15, 1025, 112.5):
        with pytest.raises(ValidationError):
            AlignRecipe.model_validate({"face_size": size})


def test_a_program_on_a_relative_path_is_called_by_its_absolute_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = install(tmp_path / "bin").resolve()
    monkeypatch.delenv("OPENFACE_BIN", raising=False)
    monkeypatch.setenv("PATH", f"bin:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    assert choose_aligner(RECIPE).openface is not None
    assert [start["argv"][0] for start in starts_of(program)] == [str(program)]


def test_the_other_program_is_never_named_and_is_refused_on_trial(tmp_path: Path) -> None:
    sources = [path.read_text() for path in Path(fer_prep.__file__).parent.rglob("*.py")]
    assert not any("FaceLandmarkImg" in source for source in sources)
    other = install(tmp_path / "openface").with_name("FaceLandmarkImg")
    row = "0, 0.983"
    other.write_text(f"#!/bin/sh\nprintf 'face, confidence\\n{row}\\n' > out/probe.csv\necho 'Starting tracking'\n")
    other.chmod(0o755)
    with pytest.raises(
        FerPrepError, match=r"does not work: it ended with 0, saying 'Starting tracking'; .*column frame"
    ):
        choose_aligner(RECIPE, other)


def test_a_missing_model_or_its_weights_are_told_before_anything_runs(tmp_path: Path) -> None:
    program = install(tmp_path / "openface", models=("clnf", "ceclm")).resolve()
    for name, sentence in (
        ("clm", "main_clm_general.txt is not there: OpenFace at .* has no landmark model 'clm' beside it"),
        ("ceclm", r"cen_patches_\*_of\.dat are not there: .* download_models\.sh"),
    ):
        recipe = AlignRecipe.model_validate({"backend": "openface", "landmark_model": name})
        with pytest.raises(FerPrepError, match=sentence):
            choose_aligner(recipe, program)
    assert starts_of(program) == []


def test_weights_that_vanish_later_are_named_and_not_tried_again(
    films: Callable[[str], Path], tmp_path: Path, finder: MeshFinder
) -> None:
    program = install(tmp_path / "openface", cen_weights=True).resolve()
    openface = with_model(program, "ceclm")
    for weights in (program.parent / "model/patch_experts").glob("cen_*"):
        weights.unlink()
    recipe = AlignRecipe(backend="openface", landmark_model="ceclm")
    results = align_batch([Wanted(films("one.mp4")), Wanted(films("ok20.mp4"))], openface, recipe, finder)
    for result in results:
        check(result, Refused("OpenFace lacks the weights of its model", "Could not find CEN patch experts"))
    assert len(starts_of(program)) == 1


def test_what_only_openface_cannot_open_ends_a_batch_and_costs_itself_only(
    films: Callable[[str], Path], tmp_path: Path, finder: MeshFinder
) -> None:
    """The batch of `batch_mid_missing`, with an input that our decoder opens."""
    said = "Failed to open the video file at location: small80.avi\n"
    openface = standin(tmp_path, {"input": "small80", "rc": 0, "stdout": said})
    names = ("one.mp4", "small80.avi", "ok20.mp4")
    one, other, after = align_batch([Wanted(films(name)) for name in names], openface, RECIPE, finder)
    check(one, Tracked(1, "1"))
    check(other, Refused("OpenFace cannot open it", "small80.avi: Failed to open the video file"))
    check(after, Tracked(20, "1-20"))
    assert [len(values(start["argv"], "-f")) for start in starts_of(openface.program)] == [3, 1, 1, 1]


def test_a_part_before_the_damage_is_made(films: Callable[[str], Path], tmp_path: Path, finder: MeshFinder) -> None:
    openface = standin(tmp_path)
    wanted = [Wanted(films("trunc.avi"), 0, 10), Wanted(films("seq_corrupt"), 0, 2), Wanted(films("trunc.avi"), 0, 11)]
    avi, folder, too_much = align_batch(wanted, openface, RECIPE, finder)
    check(avi, Tracked(10, "1-10"))
    check(folder, Tracked(2, "1-2"))
    assert isinstance(too_much, RecordingError)


def test_a_disk_that_is_full_for_one_run_costs_a_run(
    films: Callable[[str], Path], tmp_path: Path, finder: MeshFinder
) -> None:
    """A full disk cannot be mounted here: cut rows and empty images are played, from the second input on."""
    full: list[Act] = [{"runs": [1], "stem": "ok20", "zero_byte_images_from": 7}]
    full.append({"runs": [1], "stem": "small80", "zero_byte_images_from": 1})
    openface = standin(tmp_path, full)
    names = ("one.mp4", "ok20.mp4", "small80.avi")
    results = align_batch([Wanted(films(name)) for name in names], openface, RECIPE, finder)
    for result, expected in zip(results, (Tracked(1, "1"), Tracked(20, "1-20"), Tracked(12, "1-12")), strict=True):
        check(result, expected)
    assert len(starts_of(openface.program)) == 3


def test_a_terminated_openface_is_named_by_its_signal_and_its_rows_are_not_used(
    films: Callable[[str], Path], tmp_path: Path, finder: MeshFinder
) -> None:
    lines = """
echo >> "$HERE/starts"
STANDIN_PLAY='{"frame_s": 0.05}' "$STANDIN" "$@" &
until [ "$(wc -l 2> /dev/null < out/000000.csv || echo 0)" -gt 3 ]; do sleep 0.05; done
kill -TERM $!
wait $!
kill -TERM $$
"""
    (result,) = align_batch([Wanted(films("long.wmv"))], script(tmp_path, lines), RECIPE, finder)
    check(result, Refused("OpenFace died", f"by {signal.SIGTERM.name}, after "))
    assert len((tmp_path / "starts").read_text()) == 2


def test_a_batch_with_one_visible_cpu_ends_by_the_time_limit(
    films: Callable[[str], Path], tmp_path: Path, finder: MeshFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenFace 2.0 hangs; a trial refuses it before (test_choice), unless the CPUs are lost later."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("CPUs cannot be hidden from a process here")
    openface = standin(tmp_path)
    assert try_out(openface).dialect == "2.0"
    monkeypatch.setattr(running, "SECONDS_TO_START", 1.0)
    monkeypatch.setattr(running, "SECONDS_PER_FRAME", 0.0)
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        (result,) = align_batch([Wanted(films("one.mp4"))], openface, RECIPE, finder)
    finally:
        os.sched_setaffinity(0, allowed)
    check(result, Refused("OpenFace timed out", "one.mp4: killed after 1 s"))
