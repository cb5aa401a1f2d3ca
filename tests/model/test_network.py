"""The two-stream network and its building from a configuration."""

import dataclasses

import pytest
import torch
from literal import LiteralLayer
from torch import nn
from torch.nn.functional import cross_entropy

from fer_model.build import build_optimizer, build_two_stream, learning_rate
from fer_model.cells import EnhancedConvLSTM
from fer_model.config import PRESETS, TrainConfig, Variant, train_config, variant_from_name
from fer_model.network import Stream, TwoStreamNetwork, flops_per_clip, n_parameters

TINY = dataclasses.replace(
    PRESETS["small"], input_size=7, channels=(2, 4), kernels=(3, 3), norm_groups=2, hidden_features=(5,)
)


def make_network(config: TrainConfig = TINY) -> TwoStreamNetwork:
    torch.manual_seed(0)
    return build_two_stream(config, n_classes=3)


@pytest.mark.parametrize("variant", list(Variant))
@pytest.mark.parametrize("size", [4, 5, 7, 14])
def test_odd_sizes_pass_through_the_pooling(size: int, variant: Variant) -> None:
    network = make_network(dataclasses.replace(TINY, input_size=size, variant=variant))
    logits = network(torch.randn(2, 3, 3, size, size), torch.randn(2, 3, 2, size, size))
    assert logits.shape == (2, 3)
    assert network.rgb.n_features == 4 * (size // 4) ** 2


def test_too_small_an_input_is_refused() -> None:
    with pytest.raises(ValueError, match="need an input_size of 4, not 3"):
        make_network(dataclasses.replace(TINY, input_size=3))


def with_literal_layers(network: TwoStreamNetwork) -> TwoStreamNetwork:
    for stream in (network.rgb, network.flow):
        assert isinstance(stream, Stream)
        stream.layers = nn.ModuleList(
            LiteralLayer(layer) for layer in stream.layers if isinstance(layer, EnhancedConvLSTM)
        )
    return network


@pytest.mark.parametrize("variant", list(Variant))
def test_the_network_is_the_same_with_the_literal_layers_in_it(variant: Variant) -> None:
    config = dataclasses.replace(TINY, variant=variant)
    rgb, flow = torch.randn(2, 4, 3, 7, 7, dtype=torch.float64), torch.randn(2, 4, 2, 7, 7, dtype=torch.float64)
    fast, literal = make_network(config).double(), with_literal_layers(make_network(config).double())
    torch.testing.assert_close(fast(rgb, flow), literal(rgb, flow), rtol=1e-9, atol=1e-9)


def test_every_weight_gets_a_gradient() -> None:
    network = make_network()
    network(torch.randn(2, 3, 3, 7, 7), torch.randn(2, 3, 2, 7, 7)).logsumexp(1).sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_biases_are_drawn_as_those_of_convolutions_and_the_forget_gates_are_one_more() -> None:
    network = make_network(dataclasses.replace(TINY, channels=(64, 64)))
    for layer, fan_in in zip(network.rgb.layers, (3 * 9, 64 * 9), strict=True):
        assert isinstance(layer, EnhancedConvLSTM)
        biases = layer.bias.detach().view(6, 64)
        biases[1] -= 1
        assert biases.abs().max() <= fan_in**-0.5
        assert biases.std(dim=1).tolist() == pytest.approx([(3 * fan_in) ** -0.5] * 6, rel=0.25)


@pytest.mark.parametrize("variant", [Variant.SPATIAL, Variant.TEMPORAL, Variant.ENHANCED])
def test_clips_that_begin_without_flow_have_gradients_like_others(variant: Variant) -> None:
    network = make_network(dataclasses.replace(PRESETS["small"], variant=variant))
    rgb, flow = torch.randn(4, 16, 3, 16, 16), torch.randn(4, 16, 2, 16, 16)

    def norms() -> list[float]:
        network.zero_grad()
        torch.autograd.backward(cross_entropy(network(rgb, flow), torch.tensor([0, 1, 2, 0])))
        return [float(p.grad.norm()) for p in network.flow.parameters() if p.grad is not None]

    usual = norms()
    flow[:, 0] = 0
    assert max(norms()) < 10 * max(usual)


def test_the_paper_preset_has_the_papers_shape() -> None:
    with torch.device("meta"):
        network = build_two_stream(PRESETS["paper"], n_classes=6)
    assert network.rgb.n_features == 128 * 7 * 7
    assert [layer.in_features for layer in network.fully_connected if isinstance(layer, nn.Linear)] == [6272, 1024, 256]
    kernels = [layer.kernel_size for layer in network.flow.layers if isinstance(layer, EnhancedConvLSTM)]
    assert kernels == [5, 5, 3, 3]
    assert (PRESETS["paper"].lr, PRESETS["paper"].batch_size, PRESETS["paper"].optimizer) == (1.25e-4, 6, "sgd")


def test_flops_count_each_product_of_a_weight_once() -> None:
    network = make_network(dataclasses.replace(TINY, channels=(2,), kernels=(1,), hidden_features=(), input_size=2))
    layers = 2 * 4 * ((3 + 2) * 2 * 7 * 5 + 2 * 2 * 2 * (4 * 4 + 2 * 3))  # input weights over T, i f o c T-1, s s~ T-2
    assert flops_per_clip(network, clip_length=5) == layers + 2 * 2 * 3
    assert n_parameters(network) == sum(w.numel() for w in network.state_dict().values())


@pytest.mark.parametrize(
    ("letter", "name"), [("a", "convlstm"), ("b", "spatial"), ("c", "temporal"), ("d", "enhanced")]
)
def test_letters_and_names_are_the_same_variants(letter: str, name: str) -> None:
    assert variant_from_name(letter) is variant_from_name(name)


def test_options_replace_the_presets_values() -> None:
    config = train_config(preset="paper", variant="a", epochs=3, batch_size=None, lr=0.5, seed=9)
    assert (config.epochs, config.batch_size, config.lr, config.seed) == (3, 6, 0.5, 9)
    optimizer = build_optimizer(config, make_network().parameters())
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.param_groups[0]["momentum"] == 0.9


def test_the_cosine_schedule_ends_near_zero_and_the_constant_one_stays() -> None:
    assert learning_rate(PRESETS["small"], done=0.0) == PRESETS["small"].lr
    assert learning_rate(PRESETS["small"], done=1.0) == pytest.approx(0.0)
    assert learning_rate(PRESETS["paper"], done=0.9) == PRESETS["paper"].lr
