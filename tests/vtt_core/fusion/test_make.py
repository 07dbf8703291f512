from vtt_core.contract.recipe import make_recipe
from vtt_core.fusion.aggregators import Lstm
from vtt_core.fusion.make import make_fusion, state_size_of
from vtt_core.fusion.network import FusionNetwork, NoFusion


def test_the_released_recipe_gives_the_released_network() -> None:
    network = make_fusion(make_recipe("clip-lora+vtt"), 12, 12, 512)
    assert isinstance(network, FusionNetwork)
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_821_120
    assert network.orders_OS.shape == (4, 25)


def test_the_papers_recipe_gives_two_blocks_that_read_one_way() -> None:
    network = make_fusion(make_recipe("clip-lora+vtt", "paper"), 12, 12, 512)
    assert isinstance(network, FusionNetwork)
    assert network.orders_OS.shape == (1, 24)
    assert len(network.lower_blocks) == 1


def test_an_aggregator_takes_the_place_of_the_state_space_model() -> None:
    network = make_fusion(make_recipe("clip-lora+vtt", changes={"aggregator": "lstm"}), 3, 3, 16)
    assert isinstance(network, FusionNetwork)
    assert isinstance(network.block, Lstm)


def test_without_an_aggregator_nothing_is_fused() -> None:
    assert isinstance(make_fusion(make_recipe("clip-lora+vtt", changes={"aggregator": "none"}), 3, 3, 16), NoFusion)


def test_the_released_state_size_is_half_the_joint_size_and_never_none() -> None:
    assert state_size_of(make_recipe("clip-lora+vtt"), 512) == 256
    assert state_size_of(make_recipe("clip-lora+vtt"), 768) == 384
    assert state_size_of(make_recipe("clip-lora+vtt", changes={"state_size_ratio": 0.05}), 8) == 1
