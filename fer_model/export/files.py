"""A network as a file of torch.export or of ONNX, and what such a file answers.

Axes: B clips of a batch, K classes.
"""

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from fer_model.errors import ExportError

Format: TypeAlias = Literal["torch", "onnx"]
Clips: TypeAlias = tuple[Tensor, Tensor]
"""(rgb_BTHWC uint8, flow_BTHWC int16), as shards store them."""
FILES: dict[Format, str] = {"torch": "model.pt2", "onnx": "model.onnx"}
INPUTS, OUTPUT = ("rgb", "flow"), "probability"
METADATA = "metadata.json"
"""Under this name it lies in a file of torch.export."""


def check_packages(formats: tuple[Format, ...]) -> None:
    """Refuse what cannot be written here, before anything is computed.

    Raises:
        ExportError: a package is missing.
    """
    missing = [name for name in ("onnx", "onnxscript") if "onnx" in formats and not installed(name)]
    if missing:
        raise ExportError(
            f"{' and '.join(missing)} not installed, which writing ONNX needs: pip install 'fer-convlstm[export]', "
            "or take --format torch."
        )


def installed(name: str) -> bool:
    """Whether a package can be imported."""
    try:
        return find_spec(name) is not None
    except ValueError:  # sys.modules says that it cannot
        return False


def trace(network: nn.Module, clips: Clips) -> torch.export.ExportedProgram:
    """The operations of a network in evaluation mode, for any number of clips; the number of frames is fixed.

    Args:
        clips: an example of at least two clips: one would be taken for the only number.
    """
    any_number = {0: torch.export.Dim.DYNAMIC}
    with torch.no_grad(), _silent():
        return torch.export.export(network.eval(), clips, dynamic_shapes=(any_number, any_number))


def write(program: torch.export.ExportedProgram, path: Path, *, format_: Format, metadata: Mapping[str, Any]) -> None:
    """Write a traced network, with what is to be known of it inside.

    Raises:
        OSError: the file system refuses.
    """
    if format_ == "torch":
        content = io.BytesIO()  # to a file that cannot be written, torch ends the process
        torch.export.save(program, content, extra_files={METADATA: json.dumps(metadata, ensure_ascii=False)})
        path.write_bytes(content.getvalue())
        return
    from onnxscript.optimizer import fold_constants_ir, remove_unused_nodes

    with _silent():
        onnx = torch.onnx.export(
            program, dynamo=True, input_names=INPUTS, output_names=[OUTPUT], optimize=False, verbose=False
        )
        assert onnx is not None
        # the part of optimize=True that leaves no sequences, which some runtimes lack; the rest takes long
        fold_constants_ir(onnx.model, onnx_shape_inference=True)
        remove_unused_nodes(onnx.model)
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
    onnx.model.metadata_props.update(texts)
    onnx.save(path, external_data=False)


def answers(path: Path, *, format_: Format, clips: Clips) -> Tensor:
    """Probabilities (B, K) that a written file gives for clips."""
    if format_ == "torch":
        with torch.no_grad(), _silent():
            found: Tensor = torch.export.load(path).module()(*clips)
        return found
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (probability_BK,) = session.run([OUTPUT], dict(zip(INPUTS, (part.numpy() for part in clips), strict=True)))
    return torch.from_numpy(probability_BK)


@contextmanager
def _silent() -> Iterator[None]:
    """Without torch's words to its own developers."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)
