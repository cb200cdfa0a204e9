"""Catches a wrong table, a wrong formula, and a depth that is built although it fits no family."""

import dataclasses
import json

import keras
import pytest
from conftest import count

import keras_resnet
from keras_resnet import UserError, info
from keras_resnet.models import variants
from keras_resnet.models.builder import build
from keras_resnet.models.options import ModelOptions
from keras_resnet.models.stems import STEMS

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
    # As timm 1.0.31 counts them.
    "ResNet10T": 5_435_488, "ResNet14T": 10_081_632, "ResNet18D": 11_708_744, "ResNet26": 15_995_176,
    "ResNet26D": 16_014_408, "ResNet26T": 16_011_872, "ResNet34D": 21_816_904, "ResNet50C": 25_576_264,
    "ResNet50D": 25_576_264, "ResNet50S": 25_680_808, "ResNet50T": 25_573_728, "ResNet101C": 44_568_392,
    "ResNet101D": 44_568_392, "ResNet101S": 44_672_936, "ResNet152C": 60_212_040, "ResNet152D": 60_212_040,
    "ResNet152S": 60_316_584, "ResNet200D": 64_693_064, "ResNet50GN": 25_557_032, "WideResNet50_2": 68_883_240,
    "WideResNet101_2": 126_886_696, "ResNeXt50_32x4d": 25_028_904, "ResNeXt50D_32x4d": 25_048_136,
    "ResNeXt101_32x4d": 44_177_704, "ResNeXt101_32x8d": 88_791_336, "ResNeXt101_32x16d": 194_026_792,
    "ResNeXt101_32x32d": 468_530_472, "ResNeXt101_64x4d": 83_455_272, "SEResNet18": 11_779_624, "SEResNet34": 21_960_416,
    "SEResNet50": 28_088_024, "SEResNet50T": 28_104_720, "SEResNet101": 49_326_872, "SEResNet152": 66_821_848,
    "SEResNet152D": 66_841_080, "SEResNet200D": 71_855_096, "SEResNet269D": 113_672_760, "SEResNeXt26D_32x4d": 16_809_512,
    "SEResNeXt26T_32x4d": 16_806_976, "SEResNeXt50_32x4d": 27_559_896, "SEResNeXt101_32x4d": 48_955_416,
    "SEResNeXt101_32x8d": 93_569_048, "SEResNeXt101D_32x8d": 93_588_280, "SEResNeXt101_64x4d": 88_232_984,
    "ECAResNet26T": 16_011_916, "ECAResNet50D": 25_576_350, "ECAResNet50T": 25_573_814, "ECAResNet101D": 44_568_563,
    "ECAResNet200D": 64_693_400, "ECAResNet269D": 102_093_077, "ECAResNetLight": 30_162_046,
    "ECAResNeXt26T_32x4d": 15_406_220, "ECAResNeXt50T_32x4d": 25_045_686, "ResNetBlur18": 11_689_512,
    "ResNetBlur50": 25_557_032, "ResNetBlur50D": 25_576_264, "ResNetBlur101D": 44_568_392, "ResNetAA34D": 21_816_904,
    "ResNetAA50": 25_557_032, "ResNetAA50D": 25_576_264, "ResNetAA101D": 44_568_392, "SEResNetAA50D": 28_107_256,
    "SEResNeXtAA101D_32x8d": 93_588_280, "SEResNeXtAA201D_32x8d": 149_394_904, "ResNetRS50": 35_691_912,
    "ResNetRS101": 63_618_696, "ResNetRS152": 86_621_576, "ResNetRS200": 93_209_992, "ResNetRS270": 129_861_448,
    "ResNetRS350": 163_956_168, "ResNetRS420": 191_891_656, "ResNet18V2Timm": 11_687_720, "ResNet18DV2Timm": 11_706_952,
    "ResNet34V2Timm": 21_795_880, "ResNet34DV2Timm": 21_815_112, "ResNet50DV2Timm": 25_568_584,
    "ResNet50TV2Timm": 25_566_048, "ResNet101DV2Timm": 44_560_712, "ResNet152DV2Timm": 60_204_360,
    "ResNet50DGNV2Timm": 25_568_584, "BiTR50x1": 25_549_352, "BiTR50x3": 217_319_080, "BiTR101x1": 44_541_480,
    "BiTR101x3": 387_934_888, "BiTR152x2": 236_335_208, "BiTR152x4": 936_533_224,
    # As KerasHub 0.32 counts PaddlePaddle's.
    "ResNet18VD": 11_712_968, "ResNet34VD": 21_821_128, "ResNet200VD": 74_738_504,
    # As torchvision, keras.applications and KerasHub count them: TensorFlow's own only pad otherwise.
    "ResNet50V1TFSlim": 25_557_032, "ResNet101V1TFSlim": 44_549_160, "ResNet152V1TFSlim": 60_192_808,
    "ResNet50V2TFSlim": 25_568_360, "ResNet101V2TFSlim": 44_577_896, "ResNet152V2TFSlim": 60_236_904,
    "ResNet50Garden": 25_557_032, "ResNet101Garden": 44_549_160, "ResNet152Garden": 60_192_808,
    "ResNet50Garden2019": 25_557_032,
}
# fmt: on
DEEP = ("ResNet1001V1", "ResNet1001V2", "ResNet1202V1", "ResNet1202V2")
# Of those that the papers do not have, the ones that are built whole here; of the others one unit of those alike.
BUILT = (
    "ResNet10T", "ResNet26T", "ResNet50C", "ResNet50D", "ResNet50S", "ResNet50GN", "WideResNet50_2", "ResNeXt50_32x4d",
    "SEResNet18", "ECAResNet26T", "ECAResNetLight", "ResNetBlur18", "ResNetAA34D", "ResNetRS50", "ResNet18DV2Timm", "BiTR50x1",
    "ResNet50V1TFSlim", "ResNet50Garden", "ResNet18VD",
)  # fmt: skip
CONDENSED = [name for name in list(TRAINABLE)[list(TRAINABLE).index("PlainNet34") + 1 :] if name not in BUILT]


def test_the_list_of_models_is_the_contract():
    assert set(keras_resnet.list_models()) == set(TRAINABLE)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in DEEP else n for n in TRAINABLE if n not in CONDENSED],
)
def test_every_variant_has_the_papers_parameter_count_and_depth_and_the_recorded_size_is_its_graphs(name):
    size = info.ModelSize.of(getattr(keras_resnet, name)())
    assert size.trainable == TRAINABLE[name]
    row = variants.get_variant(name)
    # Wide ResNets count two of their projections along; those of v2 nets are no longer paths than the branches.
    stem = STEMS[row.stem]
    more = len(stem.filters) - 1 + (stem.max_pool is None and stem.stem_stride > 1)
    attention = {"none": 0, "se": 2, "eca": 1}[row.attention.partition("(")[0]]
    more += attention * sum(variants.stage_depths(row))
    assert size.longest_path == row.depth + more - (2 if row.family == "wide" else 0)
    row = json.dumps({name: dataclasses.asdict(size)})
    assert info.recorded_sizes().get(name) == size, f"model_sizes.json should have {row}, in the order of VARIANTS"


@pytest.mark.parametrize("name", CONDENSED)
def test_every_other_variant_has_the_parameter_count_of_its_source(name):
    """One unit of those that are alike is built, and counted as often as it occurs."""
    more = []

    def add_units(x, unit, runs):
        for run in runs:
            y = unit(x, **run[0].arguments())
            more.append(count(keras.Model(x, y).trainable_weights) * (len(run) - 1))
            x = y
        return x

    model = build(
        variants.get_variant(name),
        ModelOptions(),
        include_top=True,
        input_tensor=None,
        input_shape=(224, 224, 3),
        pooling=None,
        classes=1000,
        classifier_activation=None,
        name="condensed",
        add_units=add_units,
    )
    assert count(model.trainable_weights) + sum(more) == TRAINABLE[name] == info.recorded_sizes()[name].trainable


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
        ("ResNet34V1", "bottleneck", "3 \\* units \\+ 2, and the nearest are 26 and 50"),
        ("ResNet50V2", "basic", "2 \\* units \\+ 2, and the nearest are 18 and 34"),
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
