"""The fast layer against the literal equations, in float64."""

import pytest
import torch
from literal import literal_layer, literal_weights, named_blocks
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from fer_model.cells import EnhancedConvLSTM
from fer_model.compiling import compile_steps
from fer_model.config import Variant
from fer_model.recurrence import advance

VARIANTS = list(Variant)
RECOMPUTE = pytest.mark.parametrize("recompute_steps", [False, True], ids=["kept", "recomputed"])


def make_layer(
    variant: Variant, *, size: int = 5, kernel_size: int = 3, recompute_steps: bool = False
) -> EnhancedConvLSTM:
    torch.manual_seed(1)
    layer = EnhancedConvLSTM(
        in_channels=3,
        hidden_channels=4,
        kernel_size=kernel_size,
        height=size,
        width=size + 1,
        spatial_skip=variant.spatial_skip,
        temporal_skip=variant.temporal_skip,
        norm_groups=2 if variant.spatial_skip or variant.temporal_skip else None,
        recompute_steps=recompute_steps,
    ).double()
    with torch.no_grad():
        for parameter in layer.parameters():  # nothing may be zero or equal by initialisation
            parameter.normal_(std=0.5)
    return layer


def make_input(n_steps: int, *, size: int = 5, n_clips: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(n_steps, n_clips, 3, size, size + 1, dtype=torch.float64, generator=generator).requires_grad_()


@RECOMPUTE
@pytest.mark.parametrize("n_steps", range(1, 21))
@pytest.mark.parametrize("variant", VARIANTS)
def test_fast_layer_equals_the_equations_forward_and_in_every_gradient(
    variant: Variant, n_steps: int, recompute_steps: bool
) -> None:
    assert_equal_to_the_equations(make_layer(variant, recompute_steps=recompute_steps), make_input(n_steps))


@RECOMPUTE
@pytest.mark.parametrize("variant", VARIANTS)
def test_fast_layer_equals_the_equations_for_one_clip_of_one_pixel_by_two(
    variant: Variant, recompute_steps: bool
) -> None:
    layer = make_layer(variant, size=1, kernel_size=5, recompute_steps=recompute_steps)
    assert_equal_to_the_equations(layer, make_input(4, size=1, n_clips=1))


@RECOMPUTE
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_compiled_steps_equal_the_equations(variant: Variant, backend: str, recompute_steps: bool) -> None:
    layer = make_layer(variant, recompute_steps=recompute_steps)
    compile_steps(layer, n_clips=2, backend=backend)
    assert_equal_to_the_equations(layer, make_input(4))


def test_compiled_steps_are_for_training_batches_of_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make_layer(Variant.ENHANCED)

    def compiled(*_: object, **__: object) -> tuple[Tensor, Tensor]:
        raise RuntimeError("the compiled step was taken")

    monkeypatch.setattr(layer, "compiled", compiled)
    monkeypatch.setattr(layer, "compiled_clips", 2)
    layer(make_input(3, n_clips=1))
    with torch.no_grad():
        layer(make_input(3))
    with pytest.raises(RuntimeError, match="compiled step was taken"):
        layer(make_input(3))


@pytest.mark.parametrize("variant", VARIANTS)
def test_in_16_bits_hidden_states_are_near_those_in_32(variant: Variant) -> None:
    layer, x = make_layer(variant).float(), make_input(16).detach().float()
    layer.reset_parameters()
    with torch.no_grad():
        expected = layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            found = layer(x)
    assert (expected.dtype, found.dtype) == (torch.float32, torch.bfloat16)
    error = float((found.float() - expected).norm() / expected.norm())
    assert 0 < error < 2e-2


def test_the_cell_state_of_16_bit_sums_has_32_bits() -> None:
    sums = torch.randn(2, 28, 5, 5).bfloat16()
    c, h = advance(
        sums, None, None, torch.randn(2, 4, 5, 5), torch.randn(3, 4, 5, 5), torch.ones(4), torch.zeros(4),
        temporal_skip=True, spatial_skip=True, norm_groups=2,
    )  # fmt: skip
    assert (c.dtype, h.dtype) == (torch.float32, torch.bfloat16)


def assert_equal_to_the_equations(layer: EnhancedConvLSTM, x: Tensor) -> None:
    weights = literal_weights(layer)
    x_literal = x.detach().transpose(0, 1).clone().requires_grad_()

    h = layer(x)
    h_literal = literal_layer(x_literal, weights, norm_groups=None if layer.norm is None else 2)
    torch.testing.assert_close(h.transpose(0, 1), h_literal, rtol=1e-10, atol=1e-10)

    seed = torch.randn(h.shape, dtype=h.dtype, generator=torch.Generator().manual_seed(3))
    torch.autograd.backward(h, seed)
    torch.autograd.backward(h_literal, seed.transpose(0, 1))
    assert x.grad is not None
    torch.testing.assert_close(x.grad.transpose(0, 1), x_literal.grad, rtol=1e-9, atol=1e-9)
    for name, gradient in gradients(layer).items():
        expected = weights[name].grad
        expected = torch.zeros_like(gradient) if expected is None else expected
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-9, msg=name)


def gradients(layer: EnhancedConvLSTM) -> dict[str, Tensor]:
    def of(p: Tensor) -> Tensor:
        return torch.zeros_like(p) if p.grad is None else p.grad

    found = named_blocks(
        of(layer.input_weight), of(layer.recurrent_weight), of(layer.bias), of(layer.peephole_GCHW), layer.spatial_skip
    )
    return found if layer.norm is None else found | {"gamma": of(layer.norm.weight), "beta": of(layer.norm.bias)}


@RECOMPUTE
@pytest.mark.parametrize("variant", VARIANTS)
def test_fast_layer_equals_the_equations_on_channels_last_memory(variant: Variant, recompute_steps: bool) -> None:
    layer, x = make_layer(variant, recompute_steps=recompute_steps, kernel_size=5), make_input(4)
    x_last = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).view(x.shape)
    torch.testing.assert_close(layer(x_last), layer(x), rtol=1e-10, atol=1e-10)


@RECOMPUTE
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_agree_with_finite_differences(variant: Variant, recompute_steps: bool) -> None:
    layer, x = (
        make_layer(variant, recompute_steps=recompute_steps, size=2),
        make_input(3, size=2)[:, :1].detach().requires_grad_(),
    )
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        def forward() -> Tensor:
            h: Tensor = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))
            return h

        # the way back can be gone once, and gradcheck goes it several times: each computes the layer again
        h: Tensor = checkpoint(forward, use_reentrant=False)
        return h

    assert torch.autograd.gradcheck(run, (x, *layer.parameters()), fast_mode=True)


def test_variants_own_only_the_weights_of_their_terms() -> None:
    n_gates = {v: len(make_layer(v).recurrent_weight) // 4 for v in VARIANTS}
    n_inputs = {v: len(make_layer(v).input_weight) // 4 for v in VARIANTS}
    assert list(n_gates.values()) == [4, 4, 6, 6]
    assert list(n_inputs.values()) == [4, 5, 6, 7]
    assert [make_layer(v).norm is not None for v in VARIANTS] == [False, True, True, True]


def test_the_hidden_state_depends_on_the_order_of_the_frames() -> None:
    layer, x = make_layer(Variant.ENHANCED), make_input(4)
    assert not torch.allclose(layer(x)[-1], layer(x.flip(0))[-1])


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="odd"):
        make_layer(Variant.CONVLSTM, kernel_size=4)
