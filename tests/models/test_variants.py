"""Catches a wrong table, a wrong formula, and a depth that is built although it fits no family."""

import dataclasses
import json

import pytest
from conftest import count

import keras_resnet
from keras_resnet import UserError, info
from keras_resnet.models import variants

# fmt: off
TRAINABLE = {  # He et al. 2015 and 2016 by their published networks; Wide ResNets, arXiv:1605.07146
    "ResNet20V1": 269_722, "ResNet32V1": 464_154, "ResNet44V1": 658_586, "ResNet56V1": 853_018, "ResNet110V1": 1_727_962,
    "ResNet164V1": 1_704_154, "ResNet1001V1": 10_328_602, "ResNet1202V1": 19_421_274,
    "ResNet20V2": 269_722, "ResNet32V2": 464_154, "ResNet44V2": 658_586, "ResNet56V2": 853_018, "ResNet110V2": 1_727_962,
    "ResNet164V2": 1_703_258, "ResNet1001V2": 10_327_706, "ResNet1202V2": 19_421_274,
    "PlainNet20": 269_722, "PlainNet32": 464_154, "PlainNet44": 658_586, "PlainNet56": 853_018, "PlainNet110": 1_727_962,
    "WideResNet16_8": 10_961_370, "WideResNet28_10": 36_479_194, "WideResNet40_4": 8_949_210,
    "ResNet18V1": 11_689_512, "ResNet34V1": 21_797_672,
    "ResNet50V1": 25_557_032, "ResNet101V1": 44_549_160, "ResNet152V1": 60_192_808, "ResNet200V1": 64_673_832,
    "ResNet50V1_5": 25_557_032, "ResNet101V1_5": 44_549_160, "ResNet152V1_5": 60_192_808, "ResNet200V1_5": 64_673_832,
    "ResNet18V2": 11_687_720, "ResNet34V2": 21_795_880,
    "ResNet50V2": 25_549_352, "ResNet101V2": 44_541_480, "ResNet152V2": 60_185_128, "ResNet200V2": 64_666_152,
    "ResNet50V2Slim": 25_568_360, "ResNet101V2Slim": 44_577_896, "ResNet152V2Slim": 60_236_904,
    "ResNet50V2Timm": 25_549_352, "ResNet101V2Timm": 44_541_480, "ResNet152V2Timm": 60_185_128,
    "PlainNet18": 11_515_688, "PlainNet34": 21_623_848,
}
# fmt: on
DEEP = ("ResNet1001V1", "ResNet1001V2", "ResNet1202V1", "ResNet1202V2")


def test_the_list_of_models_is_the_contract():
    assert set(keras_resnet.list_models()) == set(TRAINABLE)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in DEEP else n for n in TRAINABLE])
def test_every_variant_has_the_papers_parameter_count_and_depth_and_the_recorded_size_is_its_graphs(name):
    size = info.ModelSize.of(getattr(keras_resnet, name)())
    assert size.trainable == TRAINABLE[name]
    row = variants.get_variant(name)
    # Wide ResNets count two of their projections along; those of v2 nets are no longer paths than the branches.
    assert size.longest_path == row.depth - (2 if row.family == "wide" else 0)
    row = json.dumps({name: dataclasses.asdict(size)})
    assert info.recorded_sizes().get(name) == size, f"model_sizes.json should have {row}, in the order of VARIANTS"


def test_the_recorded_sizes_are_of_all_networks_in_the_order_of_the_list():
    assert list(info.recorded_sizes()) == keras_resnet.list_models()


@pytest.mark.parametrize(
    ("name", "options", "trainable"),
    [
        ("ResNet20V1", {"shortcut": "B"}, 269_722 + 2_752),
        ("ResNet20V2", {"shortcut": "B"}, 272_282),
        ("ResNet110V2", {"shortcut": "B"}, 1_730_522),
        ("ResNet56V2", {"block": "bottleneck"}, 590_426),
        ("ResNet164V2", {"classes": 100}, 1_726_388),
        ("ResNet20V1", {"unit": "full_preactivation"}, 269_722),
        ("PlainNet20", {"unit": "full_preactivation"}, 269_722),
    ],
)
def test_options_change_the_count_as_the_papers_networks_do(name, options, trainable):
    assert count(getattr(keras_resnet, name)(**options).trainable_weights) == trainable


@pytest.mark.parametrize(
    ("name", "block", "message"),
    [
        ("ResNet32V1", "bottleneck", r"9n\+2, which 32 is not; the nearest are 29 and 38"),
        ("ResNet1001V2", "basic", r"6n\+2, which 1001 is not; the nearest are 998 and 1004"),
        ("WideResNet28_10", "bottleneck", r"9n\+4, which 28 is not; the nearest are 22 and 31"),
        ("ResNet34V1", "bottleneck", "3 \\* units \\+ 2, and the nearest of the papers' are 50 and 101"),
        ("ResNet50V2", "basic", "2 \\* units \\+ 2, and the nearest of the papers' are 18 and 34"),
        ("ResNet20V1", "botleneck", "unknown block 'botleneck'; the blocks are basic, bottleneck"),
    ],
)
def test_a_block_that_the_depth_does_not_allow_is_refused_with_the_formula(name, block, message):
    with pytest.raises(UserError, match=message):
        getattr(keras_resnet, name)(block=block)


def test_another_block_brings_its_papers_shortcut_along():
    row = variants.with_overrides(variants.get_variant("ResNet56V2"), block="bottleneck")
    assert row.shortcut == "B"
    assert variants.with_overrides(variants.get_variant("ResNet164V2"), block="basic").shortcut == "A"
    assert variants.with_overrides(variants.get_variant("ResNet56V2"), block="bottleneck", shortcut="C").shortcut == "C"
    assert variants.with_overrides(variants.get_variant("PlainNet56"), block="bottleneck").shortcut == "none"


@pytest.mark.parametrize("name", ["ResNet21V2", "PlainNet33", "ResNet51V1_5"])
def test_a_name_with_a_depth_that_is_none_of_ours_is_refused_with_formulas_and_neighbours(name):
    with pytest.raises(UserError, match=r"6n\+2.*9n\+2.*18, 34, 50.*nearest"):
        variants.get_variant(name)
    with pytest.raises(AttributeError, match="nearest"):
        getattr(keras_resnet, name)
