"""An exported network answers as the run did, in programs that know nothing of fer_model."""

import csv
import dataclasses
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from rich.console import Console
from runs import fer_train, run
from shard_files import CLASSES, edit_index, write_corpus
from torch import Tensor, nn

from fer_model import config
from fer_model.data import ClipStore
from fer_model.errors import ExportError
from fer_model.export.files import Clips, Format, answers, trace
from fer_model.export.network import AreaAverage
from fer_model.export.run import export_run
from fer_model.folds import select_fold
from fer_model.inputs import area_average
from fer_model.shards import read_corpus

FACES, INPUT = 20, 8  # pixels: the windows of the average overlap
BOTH: tuple[Format, ...] = ("torch", "onnx")
TORCH: tuple[Format, ...] = ("torch",)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of three frames: the shortest in which a temporal skip reaches the last one."""
    return write_corpus(tmp_path_factory.mktemp("corpus") / "shards", size=FACES, length=3)


@pytest.fixture(scope="module", autouse=True)
def two_layers() -> Iterator[None]:
    """The preset `small` with two small layers instead of four: each takes seconds to export."""
    small = dataclasses.replace(config.PRESETS["small"], input_size=INPUT, channels=(4, 8), kernels=(3, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(config.PRESETS, "small", small)
        yield


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of variant (d)."""
    return run(corpus, tmp_path_factory.mktemp("runs"), epochs=1, note="a trial").run.path


@pytest.fixture(scope="module")
def exported(corpus: Path, trained: Path) -> Path:
    """Its network in both formats."""
    return exported_to(trained / "export", trained, corpus, BOTH)


def exported_to(out: Path, path: Path, shards: Path | None, formats: tuple[Format, ...]) -> Path:
    export_run(path, out=out, formats=formats, shards=shards, overwrite=False, console=Console(file=io.StringIO()))
    return out


def stored_test_clips(corpus: Path) -> Clips:
    """All clips of the test fold, as they are stored."""
    refs = select_fold(read_corpus(corpus), test_group=1, validation_group=None).test
    (batch,) = ClipStore(clip_length=3, size=FACES, readers=1).batches([refs])
    return batch.rgb_BTHWC, batch.flow_BTHWC


def evaluated(path: Path) -> Tensor:
    """The probabilities that the run itself has written of them."""
    with (path / "predictions.csv").open() as file:
        clips = [row for row in csv.DictReader(file) if row["level"] == "clip"]
    return torch.tensor([[float(row[f"p_{name}"]) for name in CLASSES] for row in clips])


def assert_same(found: Tensor, expected: Tensor, *, atol: float = 2e-6) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)  # predictions.csv has six digits


def test_an_exported_network_answers_what_the_run_has_evaluated_in_batches_of_any_size(
    corpus: Path, trained: Path, exported: Path
) -> None:
    assert_answers_as_evaluated(corpus, trained, exported)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "atol"),
    [("a", 2e-6), ("b", 2e-6), ("c", 2e-5)],  # GroupNorm of nearly nothing, without Wxr*x, enlarges the rounding of (c)
)
def test_so_do_the_other_variants(corpus: Path, tmp_path: Path, variant: str, atol: float) -> None:
    path = run(corpus, tmp_path, epochs=1, variant=variant).run.path
    assert_answers_as_evaluated(corpus, path, exported_to(tmp_path / "out", path, corpus, BOTH), atol=atol)


def assert_answers_as_evaluated(corpus: Path, path: Path, out: Path, *, atol: float = 2e-6) -> None:
    """Both files of a run give what its predictions.csv has, for all clips of the test fold and for one."""
    clips, expected = stored_test_clips(corpus), evaluated(path)
    assert len(expected) > 5
    for format_, name in (("torch", "model.pt2"), ("onnx", "model.onnx")):
        for part in (slice(None), slice(1)):
            found = answers(out / name, format_=format_, clips=(clips[0][part], clips[1][part]))  # type: ignore[arg-type]
            assert_same(found, expected[part], atol=atol)


ALONE = """
import sys, json, numpy
clips = numpy.load(sys.argv[2])
if sys.argv[1].endswith(".onnx"):
    import onnxruntime
    session = onnxruntime.InferenceSession(sys.argv[1])
    (found,) = session.run(None, {"rgb": clips["rgb"], "flow": clips["flow"]})
    about = session.get_modelmeta().custom_metadata_map
    facts = {"classes": json.loads(about["classes"]), "note": about["note"], "clip_length": int(about["clip_length"])}
    assert "torch" not in sys.modules
else:
    import torch
    files = {"metadata.json": ""}
    program = torch.export.load(sys.argv[1], extra_files=files).module()
    found = program(torch.from_numpy(clips["rgb"]), torch.from_numpy(clips["flow"])).detach().numpy()
    facts = {name: json.loads(files["metadata.json"])[name] for name in ("classes", "note", "clip_length")}
assert not [name for name in sys.modules if name.startswith("fer_")]
print(json.dumps({"found": found.tolist(), "facts": facts}))
"""


@pytest.mark.parametrize("name", ["model.pt2", "model.onnx"])
def test_another_program_needs_nothing_but_the_file(
    corpus: Path, trained: Path, exported: Path, tmp_path: Path, name: str
) -> None:
    rgb, flow = stored_test_clips(corpus)
    np.savez(tmp_path / "clips.npz", rgb=rgb.numpy(), flow=flow.numpy())
    command = [sys.executable, "-I", "-c", ALONE, str(exported / name), str(tmp_path / "clips.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, cwd=tmp_path)
    said = json.loads(done.stdout)
    assert_same(torch.tensor(said["found"]), evaluated(trained))
    assert said["facts"] == {"classes": list(CLASSES), "note": "a trial", "clip_length": 3}
    assert "arning" not in done.stderr


def test_the_onnx_file_holds_no_operations_on_sequences(exported: Path) -> None:
    kinds = {node.op_type for node in onnx.load(exported / "model.onnx").graph.node}
    assert "Conv" in kinds
    assert not [kind for kind in kinds if "Sequence" in kind]


def test_the_facts_beside_a_file_say_what_it_takes_and_how_it_was_checked(exported: Path) -> None:
    facts = json.loads((exported / "model.onnx.json").read_text())
    assert (facts["face_size"], facts["flow_scale"], facts["aligner"], facts["note"]) == (FACES, 256, "mesh", "a trial")
    assert (facts["name"], facts["corpus"], facts["fold"], facts["classes"]) == ("enhanced", "tiny", 1, list(CLASSES))
    assert facts["check"]["clips"] == "5 clips of shards"
    assert 0 <= facts["check"]["largest_difference"] <= facts["check"]["bound"] == 1e-4


def test_without_shards_the_recipe_says_how_large_faces_are_and_noise_is_compared(
    tmp_path: Path,
) -> None:
    shards = write_corpus(tmp_path / "shards", size=FACES, length=3, recipe={"align": {"face_size": FACES}})
    path = run(shards, tmp_path, epochs=1).run.path
    facts = json.loads((exported_to(tmp_path / "out", path, None, TORCH) / "model.pt2.json").read_text())
    assert (facts["face_size"], facts["check"]["clips"]) == (FACES, "5 clips of random frames")


@pytest.mark.parametrize(("face_size", "input_size"), [(112, 16), (20, 8), (17, 16), (16, 8)])
def test_the_exported_average_is_that_of_training_to_the_bit(face_size: int, input_size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    average = AreaAverage(face_size=face_size, input_size=input_size)
    for dtype, low, high in ((torch.uint8, 0, 256), (torch.int16, -32767, 32768)):
        frames_BTHWC = torch.randint(low, high, (2, 3, face_size, face_size, 2), generator=generator).to(dtype)
        expected = area_average(frames_BTHWC.flatten(0, 1), size=input_size)
        assert torch.equal(average(frames_BTHWC).flatten(0, 1), expected.float())


def test_a_file_that_differs_from_the_network_is_not_kept(
    corpus: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_other_weights(network: nn.Module, clips: Clips) -> torch.export.ExportedProgram:
        program = trace(network, clips)
        with torch.no_grad():
            program.state_dict["network.fully_connected.0.bias"].add_(1.0)
        return program

    monkeypatch.setattr("fer_model.export.run.trace", of_other_weights)
    with pytest.raises(ExportError, match=r"^model.pt2: probabilities differ .* by up to .*; nothing was kept"):
        exported_to(tmp_path, trained, corpus, TORCH)
    assert list(tmp_path.iterdir()) == []


def test_shards_of_another_kind_are_refused(trained: Path, tmp_path: Path) -> None:
    shards = write_corpus(tmp_path / "longer", size=FACES, length=4)
    with pytest.raises(ExportError, match=r"longer: clips of so many frames: 4, expected 3 as in"):
        exported_to(tmp_path / "out", trained, shards, TORCH)
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_not_replaced_unless_asked(exported: Path, trained: Path, corpus: Path) -> None:
    before = (exported / "model.pt2").read_bytes()
    with pytest.raises(ExportError, match=r"model.pt2: is there already; give --overwrite"):
        exported_to(exported, trained, corpus, TORCH)
    assert (exported / "model.pt2").read_bytes() == before


def test_the_command_exports_and_a_directory_called_export_can_still_be_trained_on(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = fer_train("export", trained, "--format", "torch", "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert "on 5 clips of random frames (bound 0.0001)" in done.stdout
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["model.pt2", "model.pt2.json"]
    write_corpus(tmp_path / "export")
    edit_index(tmp_path / "export", lambda index: index.update(version=9))
    monkeypatch.chdir(tmp_path)
    done = fer_train("./export", "--fold", 1)
    assert done.returncode == 1
    assert "export/index.json: " in done.stderr


def test_help_tells_of_both_commands() -> None:
    assert "fer-train export RUN" in fer_train("--help").stdout
    assert "Usage: fer-train export [OPTIONS] RUN" in fer_train("export", "-h").stdout


@pytest.mark.parametrize(
    ("missing", "arguments", "code", "sentence"),
    [
        (["onnx", "onnxscript"], [], 1, "onnx and onnxscript not installed, which writing ONNX needs: pip install"),
        (["onnxscript"], ["--format", "onnx"], 1, "onnxscript not installed"),
        (["onnx", "onnxscript", "onnxruntime"], ["--format", "torch"], 0, "model.pt2: "),
        pytest.param(
            ["onnxruntime"],
            ["--format", "onnx"],
            0,
            "NOT CHECKED: onnxruntime is not installed; pip install",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_packages_that_are_missing_are_said(
    trained: Path, tmp_path: Path, missing: list[str], arguments: list[str], code: int, sentence: str
) -> None:
    """A module that sys.modules has as None cannot be imported, as if it were not installed."""
    script = f"import sys; sys.modules.update(dict.fromkeys({missing})); from fer_model.cli import main; main()"
    command = [sys.executable, "-c", script, "export", trained, "--out", tmp_path / "out", *arguments]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert sentence in done.stdout + done.stderr
    assert (tmp_path / "out").exists() == (code == 0)


def test_a_damaged_run_is_a_sentence(trained: Path, tmp_path: Path) -> None:
    for name in ("config.json", "summary.json"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    done = fer_train("export", tmp_path)
    assert done.returncode == 1
    assert "model.safetensors: not a file of weights" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "export").exists()
