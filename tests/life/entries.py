"""The entries of the package, each with made-up input from elsewhere: `case(material, folder, rng)` returns what to run.

`material` has the paths of a trained run and of its export, and keeps what several cases share. A case may write to
`folder / "out"` only. Where a checksum or a type could tell that the input is damaged, the case itself asserts that it was
told.
"""

import functools
import shutil
import zipfile
from pathlib import Path

import numpy as np
from life import image_entries, matrix, mutations, pictures, records, weight_files
from life.harness import OUTPUT, as_command

ENTRIES = {}


def entry(case):
    ENTRIES[case.__name__] = case
    return case


def shared(material, name, make):
    if name not in material:
        material[name] = make()
    return material[name]


# Weights


@entry
def mutated_weights(material, folder, rng):
    """`load_weights` of a file of any kind: all of it, exactly, or none."""
    import keras_resnet

    model = shared(material, "network", weight_files.small_network)
    good = shared(material, "good", model.get_weights)
    kind = str(rng.choice([kind for kind in weight_files.WRITERS if weight_files.can_be_made(kind)]))
    path = folder / "weights"
    content = shared(material, kind, lambda: written(weight_files.WRITERS[kind], model, path))
    path.write_bytes(content)
    mutations.mutate_file(path, mutations.seed_of(rng))
    old = [weight + 1 for weight in good]

    def load():
        model.set_weights(old)
        try:
            keras_resnet.load_weights(model, path)
        except Exception:
            assert same(model.get_weights(), old), "a refused load changed the weights"
            raise
        else:
            damaged = zipfile.is_zipfile(path) and zipfile.ZipFile(path).testzip()
            assert same(model.get_weights(), good) or not damaged, f"{kind}: a wrong checksum went silently"
            assert all(np.isfinite(weight).all() for weight in model.get_weights())
        finally:
            model.set_weights(good)

    return lambda: as_command(load)


def written(write, model, path):
    write(model, path)
    content = path.read_bytes()
    path.unlink()
    return content


def same(one, other):
    return all(np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


@entry
def wrong_weight_files(material, folder, rng):
    """Those that are wrong on purpose."""
    import keras_resnet

    model = shared(material, "network", weight_files.small_network)
    good = shared(material, "good", model.get_weights)
    path = matrix.weights(material, folder, rng)

    def load():
        try:
            keras_resnet.load_weights(model, path)
        finally:
            assert same(model.get_weights(), good)

    return refused(load)


def refused(function):
    """Runs what must be refused."""

    def run():
        status = as_command(function)
        assert status == 2, "taken without a word"
        return status

    return run


@entry
def keras_files(material, folder, rng):
    """A classifier's file, read to go on with and to export."""
    from keras_resnet.export.source_model.loading import load_source_model

    path = folder / "model.keras"
    shutil.copy(material["model"], path)
    mutations.mutate_file(path, mutations.seed_of(rng))
    return lambda: as_command(lambda: load_source_model(path))


# Records


def mutated_record(source, target, rng):
    """A JSON record, or in one case of five something that is none."""
    if rng.random() < 0.2:
        text = records.NOT_RECORDS[str(rng.choice(list(records.NOT_RECORDS)))]
    else:
        text = records.mutated_json(source, mutations.seed_of(rng))
    target.write_bytes(records.encoded(text))


@entry
def run_configurations(material, folder, rng):
    """`train --config=FILE`, up to the training itself."""
    from keras_resnet.cli import train

    mutated_record((material["workdir"] / "config.json").read_text(), folder / "config.json", rng)

    def read():
        words = [f"--config={folder / 'config.json'}", f"--workdir={folder / OUTPUT}"]
        flags, _ = train.COMMAND.parse("train", words)
        train.make_config(flags)

    return lambda: as_command(read)


@entry
def preprocessing_records(material, folder, rng):
    """The record in a classifier: what it lets through prepares an image, and gives numbers."""
    from keras_resnet.metadata import ClassifierMetadata

    with zipfile.ZipFile(material["model"]) as archive:
        record = archive.read("classifier.json").decode()
    mutated_record(record, folder / "classifier.json", rng)

    def read():
        found = ClassifierMetadata.from_json((folder / "classifier.json").read_bytes())
        preprocessing = found.preprocessing
        images = np.zeros((1, 8, 8, preprocessing.channels), np.uint8)
        if preprocessing.height * preprocessing.width < 10**6:
            assert np.isfinite(preprocessing.normalize(preprocessing.prepare(images))).all()

    return lambda: as_command(read)


@entry
def logs(material, folder, rng):
    """`metrics.jsonl`: read to its end, and drawn."""
    from keras_resnet.training.callbacks.loggers import read_metrics
    from keras_resnet.training.reporting.plots import curves

    lines = (material["workdir"] / "metrics.jsonl").read_text().splitlines()
    row = int(rng.integers(len(lines)))
    mutated_record(lines[row], folder / "line", rng)
    content = [line.encode() for line in lines]
    content[row] = (folder / "line").read_bytes()
    (folder / "metrics.jsonl").write_bytes(b"\n".join(content) + b"\n" * int(rng.integers(2)))

    def read():
        curves(read_metrics(folder))

    return lambda: as_command(read)


@entry
def reports(material, folder, rng):
    """`report.json` of an export, which a later one into the same folder reads."""
    from keras_resnet.export.output_dir import check_output_dir
    from keras_resnet.export.targets import TARGETS
    from keras_resnet.metadata import ClassifierMetadata

    shutil.copytree(material["export"], folder / "export")
    mutated_record((folder / "export" / "report.json").read_text(), folder / "export" / "report.json", rng)
    metadata = ClassifierMetadata.read_from(material["model"])
    return lambda: as_command(lambda: check_output_dir(folder / "export", metadata, TARGETS))


# Artifacts


@entry
def artifacts(material, folder, rng):
    """`predict` with a damaged file of any format."""
    from keras_resnet import cli

    names = sorted(path.name for path in material["export"].iterdir() if path.name.startswith(("model.", "model_", "saved_")))
    name = names[rng.integers(len(names))]
    path = folder / name
    (shutil.copytree if (material["export"] / name).is_dir() else shutil.copy)(material["export"] / name, path)
    inside = sorted(inner for inner in path.rglob("*") if inner.is_file()) if path.is_dir() else [path]
    mutations.mutate_file(inside[rng.integers(len(inside))], mutations.seed_of(rng))
    image = folder / "image.png"
    image.write_bytes(pictures.saved("PNG"))
    return lambda: cli.command.main(cli.COMMANDS, ["predict", f"--model_path={path}", str(image)])


# Flags


ODD_VALUES = ("", " ", "0", "-1", "nan", "inf", "1e308", "9" * 5000, "a\nb\x1b[31m", "\udcff", "x" * 100_000, ",", "1,2,,3",
              "true", "none", "../..", "~", "--", "=", "%s", "{}", "0.5,0.75", ",".join(["0.1"] * 100_000))  # fmt: skip


@entry
def flags(material, folder, rng):
    """Any command with odd values for one to three of its flags, as far as it goes with nothing to work on."""
    from keras_resnet import cli

    name = str(rng.choice([name for name in cli.COMMANDS if name != "launch"]))
    command = cli.COMMANDS[name]
    known = list(command.parse(name, required_flags(command, folder))[0])
    words = required_flags(command, folder)
    for flag in rng.choice(known, rng.integers(1, 4)):
        value = ODD_VALUES[rng.integers(len(ODD_VALUES))]
        words.append(str(rng.choice([f"--{flag}={value}", f"--no{flag}", f"--no{flag}={value}", f"--{flag}"])))

    def parse():
        found, _ = command.parse(name, words)
        if name == "train":
            cli.train.make_config(found)

    return lambda: as_command(parse)


def required_flags(command, folder):
    values = {"workdir": folder / OUTPUT, "model": "ResNet20V2", "dataset": "digits", "model_path": folder / "none.keras"}
    words = [f"--{name}={values.get(name, folder / OUTPUT / 'file.keras')}" for name in command.required]
    return [*words, "image.png"] if command.arguments else words


# Checkpoints


@functools.cache
def small_variables():
    import keras

    return [keras.Variable(np.zeros((4, 3), "float32"), name="a"), keras.Variable(np.zeros((5,), "float32"), name="b")]


@entry
def checkpoints(material, folder, rng):
    """A damaged newest checkpoint: the one before it, with a line that says so, and never a mixture."""
    from keras_resnet.training.checkpoints import CheckpointManager, TrainState

    variables = small_variables()

    def manager(state):
        return CheckpointManager(folder / "checkpoints", variables, [], state, max_to_keep=3, chief=True)

    state = TrainState(["x"])
    saver = manager(state)
    for step in (1, 2, 3):
        for variable in variables:
            variable.assign(np.full(variable.shape, step, "float32"))
        state.step = step
        saver.save(step)
    found = sorted(path for path in (folder / "checkpoints").rglob("*") if path.is_file())
    victim = found[rng.integers(len(found))]
    if rng.random() < 0.2:
        victim.unlink()
    else:
        victim.write_bytes(mutations.mutated(victim.read_bytes(), mutations.seed_of(rng)))

    def restore():
        state = TrainState(["x"])
        for variable in variables:
            variable.assign(np.full(variable.shape, -1, "float32"))
        manager(state).restore_latest()
        values = {float(value) for variable in variables for value in np.ravel(variable)}
        assert values == {float(state.step)} or (values == {-1.0} and state.step == 0), (values, state.step)

    return lambda: as_command(restore)


ENTRIES |= image_entries.CASES | matrix.CASES


def paths(run, exported, data_dir) -> dict[str, Path]:
    """The material that the cases start from."""
    return {"workdir": run.workdir, "model": run.workdir / "model.keras", "export": exported.folder, "data": data_dir}
