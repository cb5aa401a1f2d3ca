"""From a finished run to files that other programs run, each compared with the network before it is kept.

Axes: B clips of a batch, T time, H rows, W columns, C channels.
"""

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor, nn

from fer_model import rundir
from fer_model.build import build_network
from fer_model.data import ClipStore
from fer_model.errors import ExportError
from fer_model.export.files import FILES, Clips, Format, answers, check_packages, installed, trace, write
from fer_model.export.network import StoredFramesNetwork
from fer_model.folds import ClipRef, check_face_size
from fer_model.inputs import area_average, network_inputs
from fer_model.rundir import Json
from fer_model.shards import read_corpus
from fer_model.trained import Trained, load_trained

BOUND = 1e-4
"""Largest difference of a probability that passes for rounding."""
N_CLIPS = 5
"""That are compared: another number than N_TRACED, so that the batch is seen to be free."""
N_TRACED = 2
FORMAT_1_FLOW_SCALE = 256.0
"""Stored units of flow per pixel in shards of format 1 (docs/shard-format.md)."""


@dataclass(frozen=True, kw_only=True)
class StoredClips:
    """Some clips as shards store them, and how that is."""

    face_size: int
    """Pixels."""
    flow_scale: float
    """Stored units per pixel."""
    clips: Clips
    source: str
    """In words."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A comparison of an exported file with the network."""

    largest_difference: float
    """Of a probability."""
    bound: float
    clips: str
    """On which clips."""


def export_run(
    path: Path, *, out: Path, formats: tuple[Format, ...], shards: Path | None, overwrite: bool, console: Console
) -> None:
    """Write the network of the finished run `path` into the directory `out`, and beside each file, in JSON, its facts.

    Raises:
        RunDirectoryError: there is no finished run, or it is damaged.
        ShardError: the shards are damaged.
        ExportError: files are in the way, packages or clips are missing, the shards are not such as the run was trained
            on, `out` cannot be written to, or a file differs from the network; then none is kept.
    """
    trained = load_trained(path)
    check_packages(formats)
    targets = {format_: out / FILES[format_] for format_ in formats}
    there = [file for target in targets.values() for file in (target, facts_file(target)) if file.exists()]
    if there and not overwrite:
        raise ExportError(f"{there[0]}: is there already; give --overwrite to replace it, or choose another --out.")
    stored = stored_clips(trained, shards=shards)
    facts = facts_of(trained, stored)
    network = network_in_32_bits(trained)
    expected_BK = probabilities(network, stored.clips, trained=trained, flow_scale=stored.flow_scale)
    whole = StoredFramesNetwork(
        network, face_size=stored.face_size, input_size=trained.config.input_size, flow_scale=stored.flow_scale
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=out) as home:
            program = trace(whole, (stored.clips[0][:N_TRACED], stored.clips[1][:N_TRACED]))
            written = {format_: Path(home) / target.name for format_, target in targets.items()}
            lines = []
            for format_, file in written.items():
                write(program, file, format_=format_, metadata=facts)
                check = checked(file, format_=format_, stored=stored, expected_BK=expected_BK)
                rundir.write_json(facts_file(file), facts | {"check": None if check is None else vars(check)})
                lines.append(said(targets[format_], check, n_bytes=file.stat().st_size))
            for format_, file in written.items():
                file.replace(targets[format_])
                facts_file(file).replace(facts_file(targets[format_]))
    except OSError as error:
        raise ExportError(f"{out}: cannot be written to ({error.strerror or error}); choose another --out.") from error
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def facts_file(target: Path) -> Path:
    """Where the facts of an exported file lie."""
    return target.with_name(target.name + ".json")


def stored_clips(trained: Trained, *, shards: Path | None) -> StoredClips:
    """N_CLIPS clips of a shard directory, spread over it, or of noise.

    Raises:
        ShardError: the shards are damaged.
        ExportError: they are not such as the network was trained on, or hold no clip.
    """
    if shards is None:
        return random_clips(trained)
    corpus = read_corpus(shards)
    index = corpus.index
    for what, found, expected in (
        ("classes", index.classes, trained.classes),
        ("clips of so many frames:", index.clip_length, trained.clip_length),
        ("aligner", index.aligner, trained.aligner),
    ):
        if found != expected:
            raise ExportError(f"{shards}: {what} {found!r}, expected {expected!r} as in {trained.run.config}.")
    check_face_size(corpus, size=trained.config.input_size)
    refs = [ClipRef(shard=shard, clip=clip) for shard in corpus.shards for clip in shard.clips]
    if not refs:
        raise ExportError(f"{shards}: holds no clip to check on; take other shards, or leave --shards out.")
    face_size = corpus.shards[0].height
    store = ClipStore(clip_length=trained.clip_length, size=face_size, readers=1)
    chosen = [refs[i * len(refs) // N_CLIPS] for i in range(N_CLIPS)]
    (batch,) = store.batches([chosen])
    return StoredClips(
        face_size=face_size,
        flow_scale=corpus.shards[0].flow_scale,
        clips=(batch.rgb_BTHWC, batch.flow_BTHWC),
        source=f"{len({id(ref) for ref in chosen})} clips of {shards.name}",
    )


def random_clips(trained: Trained) -> StoredClips:
    """Noise of the size and range of stored clips, always the same."""
    align = trained.recipe.get("align", {})
    face_size = int(align.get("face_size", trained.config.input_size))
    generator = torch.Generator().manual_seed(0)
    shape = (N_CLIPS, trained.clip_length, face_size, face_size)
    rgb = torch.randint(0, 256, (*shape, 3), dtype=torch.uint8, generator=generator)
    flow = (torch.randn(*shape, 2, generator=generator) * FORMAT_1_FLOW_SCALE).to(torch.int16)
    flow[:, 0] = 0
    return StoredClips(
        face_size=face_size,
        flow_scale=FORMAT_1_FLOW_SCALE,
        clips=(rgb, flow),
        source=f"{N_CLIPS} clips of random frames",
    )


def network_in_32_bits(trained: Trained) -> nn.Module:
    """The network of a run; one that was trained on 16 bits has weights of 32, and few runtimes compute in 16."""
    config = dataclasses.replace(trained.config, precision="fp32")
    network = build_network(config, n_classes=len(trained.classes))
    network.load_state_dict(trained.network.state_dict())
    return network.eval()


@torch.no_grad()
def probabilities(network: nn.Module, clips: Clips, *, trained: Trained, flow_scale: float) -> Tensor:
    """Probabilities (B, K) of stored clips, by the way that training and evaluation take."""
    size = trained.config.input_size
    rgb_BTHWC, flow_BTHWC = (
        area_average(part.flatten(0, 1), size=size).view(*part.shape[:2], size, size, -1) for part in clips
    )
    inputs = network_inputs(rgb_BTHWC, flow_BTHWC, flip_B=None, flow_scale=flow_scale)
    probability_BK: Tensor = network(*inputs).softmax(1)
    return probability_BK


def checked(file: Path, *, format_: Format, stored: StoredClips, expected_BK: Tensor) -> Check | None:
    """How far a file's probabilities are from the network's; None: what runs the file is not installed.

    Raises:
        ExportError: farther than BOUND.
    """
    if format_ == "onnx" and not installed("onnxruntime"):
        return None
    found_BK = answers(file, format_=format_, clips=stored.clips)
    difference = float((found_BK - expected_BK).abs().max())
    if not difference <= BOUND:
        raise ExportError(
            f"{file.name}: probabilities differ from the network's by up to {difference:.2g} on {stored.source}, "
            f"expected at most {BOUND:g}; nothing was kept. Please report this with the versions of torch and onnx."
        )
    return Check(largest_difference=difference, bound=BOUND, clips=stored.source)


def said(target: Path, check: Check | None, *, n_bytes: int) -> str:
    """The line on a file that was written."""
    size = f"{target}: {n_bytes / 1e6:.1f} MB"
    if check is None:
        return f"{size}, NOT CHECKED: onnxruntime is not installed; pip install onnxruntime, and export again."
    return (
        f"{size}; probabilities differ from the network's by at most {check.largest_difference:.1e} "
        f"on {check.clips} (bound {check.bound:g})"
    )


def facts_of(trained: Trained, stored: StoredClips) -> Json:
    """What a user of an exported file has to know; it lies in the file, too."""
    config, side = trained.config, stored.face_size
    shape = f"(batch, {trained.clip_length}, {side}, {side}"
    return {
        "format": "fer-convlstm-export",
        "version": 1,
        "rgb": f"uint8 {shape}, 3), red green blue, aligned faces",
        "flow": f"int16 {shape}, 2), (dx, dy) from the frame before, pixels times flow_scale; frame 0 of a video: 0",
        "probability": f"float32 (batch, {len(trained.classes)}), in the order of classes",
        "classes": list(trained.classes),
        "clip_length": trained.clip_length,
        "face_size": side,
        "flow_scale": stored.flow_scale,
        "input_size": config.input_size,
        "aligner": trained.aligner,
        "recipe": trained.recipe,
        "corpus": trained.corpus,
        "name": config.name,
        "model": config.model,
        "preset": config.preset,
        "seed": config.seed,
        "fold": trained.fold,
        "note": trained.note,
    }
