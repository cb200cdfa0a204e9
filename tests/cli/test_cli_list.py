"""Catches a list of everyone's weights that leaves some out, cuts names off, or hides why they are refused."""

import pytest
from conftest import assert_refused

import keras_resnet


def lines_of(done):
    assert done.returncode == 0, done.err
    return done.out.splitlines()


def test_all_weights_are_listed_with_their_whole_names(in_process):
    """Catches a table that is as wide as the terminal and ends names in dots: they are to be copied."""
    words = {line.split()[0] for line in lines_of(in_process("list", "--pretrained"))}
    assert {entry.name for entry in keras_resnet.list_pretrained("*")} <= words


def test_a_pattern_chooses_and_the_reference_is_said(in_process):
    header, *rows, reference = lines_of(in_process("list", "--pretrained", "resnet50d.*"))
    assert header.split() == ["weights", "network", "source", "license", "images", "classes", "top-1", "top-5"]
    assert [row.split()[0] for row in rows] == [entry.name for entry in keras_resnet.list_pretrained("resnet50d.*")]
    assert rows[-2].split() == [
        "hf://timm/resnet50d.ra2_in1k", "ResNet50D", "timm", "apache-2.0", "288x288x3", "1000", "81.35", "95.74",
    ]  # fmt: skip
    assert reference.startswith("Accuracy of timm: timm, results/results-imagenet.csv")


def test_why_a_network_is_refused_is_said(in_process):
    _, row, why, _ = lines_of(in_process("list", "--pretrained", "senet154*"))
    assert row.split()[:2] == ["hf://timm/senet154.gluon_in1k", "refused"]
    assert why == "Refused: senet154, its first convolutions have half the width, and its projections are 3x3."


def test_without_the_flag_the_networks_are_listed_as_before(in_process):
    words = {line.split()[0] for line in lines_of(in_process("list"))}
    assert {"ResNet20V2", "ResNet50V1_5", "ResNet20V2/digits"} <= words
    assert "hf://timm/resnet50d.ra2_in1k" not in words


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("resnet50*",), ("with --pretrained only", "resnet50*")),
        (("--pretrained", "resnet50d", "resnet50t"), ("one pattern", "resnet50d, resnet50t")),
        (("--pretrained", "resnet5000*"), ("no weights or networks match 'resnet5000*'", "shows all")),
        (("--pretrained=resnet50*",), ("--pretrained=resnet50*", "true or false")),
    ],
    ids=["no flag", "unquoted", "no match", "flag with a pattern"],
)
def test_mistakes_are_one_line(in_process, arguments, parts):
    assert_refused(in_process("list", *arguments), *parts)
