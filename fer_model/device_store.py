"""The store that keeps the frames of all clips on the training device and gathers batches there.

Axes: B clips of a batch, T time, H rows, W columns, C channels, N frames.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path

import torch

from fer_model.data import Batch, ClipStore
from fer_model.folds import ClipRef, shards_of


class DeviceStore:
    """Hands out the clips that a ClipStore hands out, from frames that were copied to a device once.

    Args:
        source: reads the frames, one shard after the other; it keeps none of them.
        device: where the frames are kept and the batches made.
    """

    def __init__(self, source: ClipStore, *, device: torch.device) -> None:
        self._source = source
        self._device = device
        self._first_row: dict[Path, int] = {}
        self._rgb_NHWC = torch.empty(0, dtype=torch.uint8, device=device)
        self._flow_NHWC = torch.empty(0, dtype=torch.int16, device=device)

    def load(self, refs: Sequence[ClipRef]) -> Iterator[int]:
        """Copy the frames of these clips' shards to the device, in place of those before; yields numbers of frames.

        Raises:
            ShardError: frames cannot be read.
        """
        shards = shards_of(refs)
        n_frames, size = sum(shard.n_frames for shard in shards), self._source.size
        self._rgb_NHWC = torch.empty((n_frames, size, size, 3), dtype=torch.uint8, device=self._device)
        self._flow_NHWC = torch.empty((n_frames, size, size, 2), dtype=torch.int16, device=self._device)
        first = 0
        for shard in shards:
            rgb_NHWC, flow_NHWC = self._source.frames(shard)
            self._rgb_NHWC[first : first + shard.n_frames] = rgb_NHWC
            self._flow_NHWC[first : first + shard.n_frames] = flow_NHWC
            self._first_row[shard.path] = first
            first += shard.n_frames
            yield shard.n_frames

    def batches(self, wanted: Iterable[Sequence[ClipRef]]) -> Generator[Batch, None, None]:
        """Batches of the clips asked for, in that order, on the device; their shards must be loaded."""
        time_T = torch.arange(self._source.clip_length, device=self._device)
        for refs in wanted:
            first_B = self._numbers([self._first_row[ref.shard.path] + ref.clip.first_frame for ref in refs])
            n_valid_B = self._numbers([ref.clip.n_valid for ref in refs])
            # the rule of pad_clip: the last image repeated, no flow
            row_BT = first_B[:, None] + torch.minimum(time_T, n_valid_B[:, None] - 1)
            padding_BT = time_T >= n_valid_B[:, None]
            flow_BTHWC = self._flow_NHWC[row_BT].masked_fill_(padding_BT[:, :, None, None, None], 0)
            yield Batch(
                rgb_BTHWC=self._rgb_NHWC[row_BT],
                flow_BTHWC=flow_BTHWC,
                label_B=self._numbers([ref.label for ref in refs]),
            )

    def _numbers(self, values: Sequence[int]) -> torch.Tensor:
        return torch.tensor(values, device=self._device)
