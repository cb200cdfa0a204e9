"""Every command with every kind of input that it takes: a row for each command, and a function for each kind.

A command is a row of `COMMANDS`: its arguments without what is wrong, and, by the kind of input, the argument that takes it. A
kind is a function that makes one of its bad inputs and returns its path. Each pair becomes a case, see `entries`.
"""

import os
from collections.abc import Callable
from pathlib import Path

from life import artifacts, folders, pictures, records, selftests, weight_files, wrong_keras_files, wrong_weights
from life.harness import OUTPUT


def any_of(table, rng):
    """One of the keys of a dictionary."""
    return list(table)[rng.integers(len(table))]


# Kinds of input: `make(material, folder, rng)` returns a path


def no_file(material, folder, rng):
    """Nothing, a folder, a pipe, a link to itself, an empty file, a device."""
    path = folder / f"input{rng.choice(['.keras', '.onnx', '.json', '.txt', '.png', ''])}"
    kind = rng.integers(6)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        os.mkfifo(path)
    elif kind == 2:
        path.symlink_to(path.name)
    elif kind == 3:
        path.touch()
    elif kind == 4:
        path = Path("/dev/zero")
    return path


def weights(material, folder, rng):
    known = {name: make for name, (make, _) in wrong_weights.BAD_WEIGHTS.items() if weight_files.can_be_made(name)}
    make = known[any_of(known, rng)]
    make(network(material), folder / "weights")
    return folder / "weights"


def classifier(material, folder, rng):
    """A `.keras` file."""
    make, _ = wrong_keras_files.BAD_KERAS[any_of(wrong_keras_files.BAD_KERAS, rng)]
    make(network(material), folder / "model.keras")
    return folder / "model.keras"


def artifact(material, folder, rng):
    suffix, make, _ = artifacts.BAD_ARTIFACTS[any_of(artifacts.BAD_ARTIFACTS, rng)]
    make(folder / f"model{suffix}")
    return folder / f"model{suffix}"


def selftest(material, folder, rng):
    """An export whose self-test is wrong."""
    return selftests.write_bad(any_of(selftests.BAD_SELF_TESTS, rng), folder / "export")


def record(material, folder, rng):
    text = records.NOT_RECORDS[any_of(records.NOT_RECORDS, rng)]
    (folder / "config.json").write_bytes(records.encoded(text))
    return folder / "config.json"


def labels(material, folder, rng):
    (folder / "labels.txt").write_bytes(any_of(folders.NO_LABELS, rng))
    return folder / "labels.txt"


def image(material, folder, rng):
    name = any_of(pictures.UNUSABLE, rng)
    (folder / name).write_bytes(pictures.UNUSABLE[name]())
    return folder / name


def images(material, folder, rng):
    """A folder with none that can be used: other classes, no classes, no images, unreadable ones."""
    root, kind = folder / "images", rng.integers(4)
    for name in ("cat", "dog") if kind else ():
        (root / name).mkdir(parents=True)
        if kind == 1:
            (root / name / "notes.txt").write_text("no image")
        if kind == 2:
            (root / name / "a.png").write_bytes(pictures.UNUSABLE["page.jpg"]())
        if kind == 3:
            os.mkfifo(root / name / "a.png")
    root.mkdir(exist_ok=True)
    return root


def output(material, folder, rng):
    """A place that nothing can be written to, or that has something else."""
    place, kind = folder / "taken", rng.integers(4)
    if kind == 0:
        place.write_text("something else")
    elif kind == 1:
        place.mkdir()
        (place / "notes.txt").write_text("somebody's")
        (place / "report.json").write_text("[1]")
        (place / "config.json").write_text("{}")
    elif kind == 2:
        place.write_text("something else")
        place /= "below"
    else:
        place = folder / ("n" * 300)
    return place


def network(material):
    if "network" not in material:
        material["network"] = weight_files.small_network()
    return material["network"]


# Commands

DATA, FOLDER = ("--dataset=digits", "--data_dir={data}"), ("--dataset=folder", "--data_dir={}")
COMMANDS: dict[str, tuple[tuple[str, ...], dict[Callable, tuple[str, ...]]]] = {
    "train": (
        ("--model=ResNet20V1", "--width_multiplier=0.125", "--epochs=1", "--workdir={out}", *DATA),
        {
            weights: ("--weights={}",),
            record: ("--config={}",),
            images: FOLDER,
            output: ("--workdir={}",),
            no_file: ("--weights={}",),
        },
    ),
    "import": (
        ("--model=ResNet20V1", "--width_multiplier=0.125", "--weights={model}", "--output_path={out}/new.keras", *DATA),
        {
            weights: ("--weights={}",),
            labels: ("--labels={}",),
            images: FOLDER,
            output: ("--output_path={}",),
            no_file: ("--labels={}",),
        },
    ),
    "evaluate": (
        ("--model_path={model}", *DATA),
        {
            classifier: ("--model_path={}",),
            artifact: ("--model_path={}",),
            images: FOLDER,
            no_file: ("--model_path={}",),
        },
    ),
    "predict": (
        ("--model_path={onnx}",),
        {
            classifier: ("--model_path={}", "{image}"),
            artifact: ("--model_path={}", "{image}"),
            image: ("{}",),
            images: ("{}",),
            no_file: ("{}",),
        },
    ),
    "export": (
        ("--model_path={model}", "--formats=onnx", "--quantize=none", "--output_dir={out}/export", *DATA),
        {
            classifier: ("--model_path={}",),
            labels: ("--labels={}",),
            images: FOLDER,
            output: ("--output_dir={}",),
            no_file: ("--model_path={}",),
        },
    ),
    "verify": ((), {selftest: ("{}",), no_file: ("{}",)}),
}  # fmt: skip


def case(command: str, kind: Callable):
    """The case of a command and a kind: it must end with 2 and a line, whatever the input is."""

    def make(material, folder, rng):
        from keras_resnet import cli

        (folder / "image.png").write_bytes(pictures.saved("PNG"))
        common, by_kind = COMMANDS[command]
        known = {"out": folder / OUTPUT, "model": material["model"], "data": material["data"], "image": folder / "image.png"}
        known["onnx"] = material["export"] / "model.onnx"
        path = kind(material, folder, rng)
        words = [word.format(**known) for word in common] + [word.format(path, **known) for word in by_kind[kind]]

        def run():
            status = cli.command.main(cli.COMMANDS, [command, *words])
            assert status == 2, f"{words} ended with {status}"
            return status

        return run

    return make


CASES = {f"{command} {kind.__name__}": case(command, kind) for command, (_, kinds) in COMMANDS.items() for kind in kinds}
