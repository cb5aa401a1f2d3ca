"""Which aligner is taken, why, and that one directory never holds the work of two."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from standin_install import install

from fer_prep.align.choose import choose_aligner
from fer_prep.align.openface.probe import try_out
from fer_prep.align.openface.program import find_program, with_model
from fer_prep.errors import FerPrepError, UsageError
from fer_prep.recipe import AlignRecipe

AUTO = AlignRecipe(backend="auto", landmark_model="clnf")
OPENFACE = AlignRecipe(backend="openface", landmark_model="clnf")


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have OpenFace."""
    monkeypatch.delenv("OPENFACE_BIN", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


# ------------------------------------------------------------------------------------------------------------- finding


def test_a_program_is_found_by_name_environment_and_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = install(tmp_path / "of" / "build" / "bin").resolve()
    assert find_program(None) is None
    assert find_program(program) == find_program(tmp_path / "of") == find_program(program.parent) == program
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin")
    assert find_program(None) == program
    other = install(tmp_path / "other").resolve()
    monkeypatch.setenv("OPENFACE_BIN", str(other))
    assert find_program(None) == other
    assert find_program(program) == program


def test_links_are_followed_to_where_the_models_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = install(tmp_path / "of").resolve()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "FeatureExtraction").symlink_to(program)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    aligner = choose_aligner(AUTO)
    assert aligner.openface is not None
    assert aligner.openface.program == program


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, r"place is not there; name OpenFace's FeatureExtraction"),
        (lambda path: path.mkdir(), "place holds no program FeatureExtraction"),
        (lambda path: path.write_text("text"), "place is no program"),
    ],
)
def test_a_place_without_openface_is_a_sentence(tmp_path: Path, make: object, sentence: str) -> None:
    make(tmp_path / "place")  # type: ignore[operator]
    with pytest.raises(UsageError, match=sentence):
        choose_aligner(OPENFACE, tmp_path / "place")


def test_missing_models_and_weights_are_a_sentence(tmp_path: Path) -> None:
    program = install(tmp_path / "of", models=("clnf", "ceclm")).resolve()
    with pytest.raises(FerPrepError, match="has no landmark model 'clm' beside it"):
        with_model(program, "clm")
    with pytest.raises(FerPrepError, match=r"cen_patches_\*_of\.dat are not there: .* --landmark-model clnf"):
        with_model(program, "ceclm")
    install(tmp_path / "of", cen_weights=True)
    assert with_model(program, "ceclm").model.name == "main_ceclm_general.txt"


def test_a_broken_reference_shape_is_said_before_a_build(tmp_path: Path) -> None:
    program = install(tmp_path / "of").resolve()
    (program.parent / "AU_predictors").mkdir()
    (program.parent / "AU_predictors" / "In-the-wild_aligned_PDM_68.txt").write_text("rubbish")
    with pytest.raises(FerPrepError, match=r"In-the-wild_aligned_PDM_68\.txt is no shape model of OpenFace"):
        with_model(program, "clnf")


def test_what_is_of_openface_does_not_part_shards_of_the_mesh() -> None:
    plain = choose_aligner(AlignRecipe(backend="mesh"))
    other = choose_aligner(AlignRecipe(backend="mesh", mask=False, landmark_model="clm", min_confidence=0.9))
    assert plain.recipe == other.recipe


def test_the_identity_changes_with_program_and_models(tmp_path: Path) -> None:
    program = install(tmp_path / "of").resolve()
    first = with_model(program, "clnf").identity
    assert with_model(program, "clnf").identity == first
    (program.parent / "model" / "pdm.txt").write_text("another model")
    assert with_model(program, "clnf").identity != first


# ------------------------------------------------------------------------------------------------------------- trying


@pytest.mark.parametrize("dialect", ["2.0", "2.2"])
def test_the_dialect_is_seen_in_the_output(tmp_path: Path, dialect: str) -> None:
    program = install(tmp_path / "of", dialect=dialect, play={"startup_s": 0.5}).resolve()  # type: ignore[arg-type]
    trial = try_out(with_model(program, "clnf"))
    assert trial.dialect == dialect
    assert trial.startup_s > 0.5


def test_auto_takes_openface_where_it_works(tmp_path: Path) -> None:
    program = install(tmp_path / "of")
    aligner = choose_aligner(AUTO, program)
    assert (aligner.recipe.backend, aligner.openface is not None) == ("openface", True)
    assert aligner.says.startswith("Faces are aligned by OpenFace 2.0 (clnf) at ")


def test_auto_takes_the_mesh_where_there_is_none_or_a_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligner = choose_aligner(AUTO)
    assert (aligner.recipe.backend, aligner.problem) == ("mesh", "")
    program = install(tmp_path / "of", play={"abort": "before"})
    monkeypatch.setenv("OPENFACE_BIN", str(program))
    with pytest.raises(FerPrepError, match="does not work: it ended with -6"):
        choose_aligner(AUTO)
    monkeypatch.delenv("OPENFACE_BIN")
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    aligner = choose_aligner(AUTO)
    assert aligner.recipe.backend == "mesh"
    assert "for OpenFace does not work: " in aligner.says
    with pytest.raises(FerPrepError, match="does not work: it ended with -6"):
        choose_aligner(OPENFACE)
    with pytest.raises(FerPrepError, match="does not work: it ended with -6"):
        choose_aligner(AUTO, program)


def test_openface_that_is_asked_for_and_missing_is_a_sentence() -> None:
    with pytest.raises(FerPrepError, match="OpenFace is not installed: no FeatureExtraction is on the PATH"):
        choose_aligner(OPENFACE)
    with pytest.raises(UsageError, match="the embedded aligner needs none"):
        choose_aligner(AlignRecipe(backend="mesh"), Path("/opt/openface"))


def test_one_visible_cpu_is_refused_before_a_corpus_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("CPUs cannot be hidden from a process here")
    openface = with_model(install(tmp_path / "of").resolve(), "clnf")
    newer = with_model(install(tmp_path / "newer", dialect="2.2").resolve(), "clnf")
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        with pytest.raises(FerPrepError, match=r"OpenFace 2\.0 hangs where only one CPU is visible"):
            try_out(openface, limit_s=2)
        assert try_out(newer).dialect == "2.2"
    finally:
        os.sched_setaffinity(0, allowed)


# ------------------------------------------------------------------------------------------------------------ building


def build(home: Path, *options: object, code: int = 0) -> str:
    command = [
        sys.executable, "-m", "fer_prep", "build", "--dataset", "manifest", "--manifest", home / "manifest.csv",
        "--root", home, "--out", home / "out", "--cache", home / "cache", *options,
    ]  # fmt: skip
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def home(shared_data: Path, tmp_path: Path) -> Path:
    """Two recordings that OpenFace's output is known of, and a broken one."""
    shutil.copy(shared_data / "real/grid/bbaf2n.mpg", tmp_path / "a.mpg")
    shutil.copy(shared_data / "real/pyfeat/face_noface.mov", tmp_path / "b.mov")
    shutil.copy(shared_data / "edge/truncated_45pct.avi", tmp_path / "c.avi")
    (tmp_path / "manifest.csv").write_text("file,subject,label\na.mpg,1,x\nb.mov,2,y\nc.avi,1,y\n")
    return tmp_path


def test_shards_hold_openfaces_own_pixels_and_say_so(home: Path, golden: Path) -> None:
    import h5py
    import hdf5plugin  # noqa: F401  registers the filter

    options = ("--openface", install(home / "of", golden=golden), "--landmark-model", "clnf", "--workers", 2)
    said = build(home, *options, code=3)
    assert "Faces are aligned by OpenFace 2.0 (clnf)" in said
    index = json.loads((home / "out/index.json").read_text())
    assert index["aligner"] == "openface"
    assert index["recipe"]["align"]["backend"] == "openface"
    assert len(index["versions"]["openface"]) == 64
    with (home / "out/ledger.csv").open(newline="") as file:
        rows = {row["recording"]: row for row in csv.DictReader(file)}
    assert rows["a.mpg"]["n_detected"] == "75"
    assert rows["b.mov"]["n_detected"] == "72"
    assert "implausible faces of OpenFace not used: 6 frames (158-159, 162-165)" in rows["b.mov"]["reason"]
    assert rows["c.avi"]["reason"].startswith("truncated: ")
    with h5py.File(home / "out/manifest-s1.h5") as file:
        assert file.attrs["aligner"] == "openface"
        for k in (0, 30, 74):
            import cv2

            image = cv2.imread(str(golden / f"bbaf2n/bbaf2n_aligned/frame_det_00_{k + 1:06}.png"))
            assert image is not None
            assert np.array_equal(file["frames/rgb"][k], image[:, :, ::-1])

    before = (home / "out/index.json").read_bytes()
    assert "kept from before" in build(home, *options, code=3)
    assert "align.backend: openface -> mesh" in build(home, "--aligner", "mesh", code=2)
    assert json.loads((home / "out/index.json").read_text())["shards"] == json.loads(before)["shards"]


def test_doctor_says_what_was_found_and_tried(tmp_path: Path) -> None:
    program = install(tmp_path / "of")
    command = [sys.executable, "-m", "fer_prep", "doctor", "--openface", str(program), "--landmark-model"]
    done = subprocess.run([*command, "clnf"], capture_output=True, text=True, check=False)
    said = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "dialect 2.0, model clnf" in said
    assert "found the face of the bundled picture" in said
    assert max(map(len, done.stdout.splitlines())) <= 100
    done = subprocess.run([*command, "ceclm"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "download_models.sh" in " ".join(done.stdout.split())


def test_doctor_without_openface_is_content(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "fer_prep", "doctor"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not installed; the embedded aligner is taken" in " ".join(done.stdout.split())
