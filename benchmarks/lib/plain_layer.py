"""A ConvLSTM layer as most people write it: the equal-work stand-in for published layers of variant (a)."""

import torch
from torch import Tensor, nn


class PlainConvLSTM(nn.Module):
    """Two convolutions a step, for i f o c~ of x and of h; no peepholes; the rest is left to autograd.

    Args:
        in_channels, hidden_channels, kernel_size: as of EnhancedConvLSTM.
    """

    def __init__(self, *, in_channels: int, hidden_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.hidden_channels = hidden_channels
        padding = kernel_size // 2
        self.of_input = nn.Conv2d(in_channels, 4 * hidden_channels, kernel_size, padding=padding)
        self.of_hidden = nn.Conv2d(hidden_channels, 4 * hidden_channels, kernel_size, padding=padding, bias=False)

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        """Hidden states h_TBCHW."""
        _, n_clips, _, height, width = x_TBCHW.shape
        h = c = x_TBCHW.new_zeros(n_clips, self.hidden_channels, height, width)
        states = []
        for x in x_TBCHW:
            i, f, o, candidate = torch.chunk(self.of_input(x) + self.of_hidden(h), 4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * candidate.tanh()
            h = o.sigmoid() * c.tanh()
            states.append(h)
        return torch.stack(states)
