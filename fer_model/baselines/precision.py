"""Which part of a network computes in 16 bits."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def convolutions_in(x: Tensor, *, bf16: bool) -> AbstractContextManager[object]:
    """Convolutions and matrices of inputs like `x` in 16 bits, if `bf16`; the meta device only counts, in 32."""
    return torch.autocast(x.device.type, torch.bfloat16) if bf16 and not x.is_meta else nullcontext()
