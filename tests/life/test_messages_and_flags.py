"""Catches a message of two lines, of a megabyte, or one that steers the terminal; and limits that are found by allocating."""

import ast
import io
import json
import subprocess
import sys
import types
import unicodedata

import pytest
from conftest import ROOT, assert_refused, keras_resnet_command
from life.artifacts import write_onnx

import keras_resnet
from keras_resnet import UserError, cli
from keras_resnet.benchmarks.config import check_counts
from keras_resnet.cli import output
from keras_resnet.cli.command import Command, main
from keras_resnet.cli.flagfile import expand_flagfiles
from keras_resnet.cli.flags import FlagHelp, Flags
from keras_resnet.errors import LONGEST_LINE, check_at_most, one_line
from keras_resnet.models.options import ModelOptions
from keras_resnet.training.config import TrainConfig
from keras_resnet.training.recipes import get_recipe

TRAIN = ("train", "--model=ResNet20V2", "--dataset=digits", "--workdir=never")
ODD = {"newline": "a\nb", "escape": "a\x1b[31mb", "separator": "a\u2028b", "bidi": "a\u202eb", "megabyte": "x" * 10**6}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\r\x1b[0m\x9b", r"a\nb\r\x1b[0m\x9b"),
        ("line\u2028paragraph\u2029", r"line\u2028paragraph\u2029"),
        ("\u202eevil\u2066 \ufeff\udcff", r"\u202eevil\u2066 \ufeff\udcff"),
        ("Umlaute äöü, \u65e5\u672c, \U0001f469\u200d\U0001f52c, no\xa0break, C:\\new", None),
        ("x" * 300, None),
        ("y" * 5000, f"{'y' * 137}... (5,000 characters) ...{'y' * 137}"),
    ],
)
def test_a_line_shows_what_can_be_shown_and_escapes_the_rest(text, expected):
    assert one_line(text) == (text if expected is None else expected)
    assert one_line(one_line(text)) == one_line(text)


def test_whatever_the_text_the_line_is_short_shows_and_stays_the_same(rng):
    """Texts of all characters, surrogates included, and of all lengths."""
    for length in rng.integers(0, 3000, 300):
        text = "".join(map(chr, rng.integers(0, 0x110000 if length % 2 else 0x300, length)))
        line = one_line(text)
        assert len(line) <= LONGEST_LINE
        assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in line)
        assert one_line(line) == line


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "arguments",
    [
        ("{0}",),
        ("train", "--{0}=3"),
        ("train", "--model=ResNet20V2", "--dataset=digits", "--workdir=never", "--recipe={0}"),
        (*TRAIN, "--config={0}"),
        (*TRAIN, "--flagfile={0}"),
        (*TRAIN, "--epochs={0}"),
        (*TRAIN, "--milestones={0}"),
        (*TRAIN, "--freeze=stem,{0}"),
        (*TRAIN, "{0}"),
        ("launch", "--workers=2", "--", "{0}"),
        ("launch", "--workers=2", "--", "train", "--{0}"),
        ("import", "--model={0}", "--weights=a", "--output_path=b.keras"),
        ("evaluate", "--model_path={0}"),
        ("predict", "--model_path={0}", "a.png"),
        ("export", "--model_path=a", "--output_dir=b", "--formats={0}"),
        ("benchmark", "--task={0}"),
        ("benchmark", "--task=build", "--model={0}"),
        ("benchmark", "--task=build", "--model=ResNet20V2", "--json={0}/b.json"),
    ],
    ids=" ".join,
)
def test_whatever_a_command_is_given_its_message_is_one_line(arguments, odd, in_process):
    done = in_process(*(argument.replace("{0}", ODD[odd]) for argument in arguments))
    assert_refused(done)
    assert len(done.err) < LONGEST_LINE + 20
    assert done.err.rstrip("\n").isprintable()


def test_an_error_in_code_is_one_line_too():
    with pytest.raises(UserError, match=r"^unknown block 'a\\n"):
        keras_resnet.ResNet20V1(block="a\n" + "b" * 10**6)


def test_commands_print_by_the_functions_that_make_lines_safe():
    """By construction: nothing else in the room prints."""
    for path in sorted((ROOT / "keras_resnet" / "cli").glob("*.py")):
        calls = [node.func.id for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                 if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]  # fmt: skip
        assert ("print" in calls) == (path.name == "output.py"), path.name


def test_names_in_a_table_are_not_markup(capsys):
    output.show_table(["name"], [["[red]a[/red]"], [":smile:"], ["b\x1b[1m\n"]])
    assert capsys.readouterr().out.split() == ["name", "[red]a[/red]", ":smile:", r"b\x1b[1m\n"]


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", r"\xe4\u65e5"), ("cp1252", "ä\\u65e5")])
def test_a_terminal_of_few_characters_gets_escapes(encoding, shown, monkeypatch):
    """As with LANG=C, or in a pipe on Windows: a UnicodeEncodeError ended predict at the first umlaut."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)

    def show(flags, arguments):
        """Prints."""
        output.print_lines("ä\u65e5")
        output.show_table(["ä"], [["\u65e5"]])

    assert main({"show": Command(show)}, ["show"]) == 0
    assert stream.buffer.getvalue().decode(encoding).splitlines()[0] == shown


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")
@pytest.mark.parametrize(
    ("redirection", "status", "error"), [(">&-", 0, ""), (">/dev/full", 2, "keras-resnet: No space left on device\n")]
)
def test_output_that_goes_nowhere(redirection, status, error):
    """Catches "Exception ignored in ... OSError", exit status 120, and a file that takes the place of standard output."""
    command = f"'{sys.executable}' -P -m keras_resnet.cli --help {redirection}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, error)


def test_help_without_docstrings_names_the_commands():
    """As under python -OO."""
    done = subprocess.run([sys.executable, "-OO", "-P", "-m", "keras_resnet.cli"], capture_output=True, text=True, check=False)
    assert [line.split()[0] for line in done.stdout.splitlines()[2 : 2 + len(cli.COMMANDS)]] == list(cli.COMMANDS)


def test_memory_that_is_not_there_is_one_line(capsys):
    def allocate(flags, arguments):
        """Allocates."""
        raise MemoryError("Unable to allocate 1 PiB")

    assert main({"allocate": Command(allocate)}, ["allocate"]) == 2
    assert capsys.readouterr().err == "keras-resnet: there is not enough memory: Unable to allocate 1 PiB\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--nofold=true"], "--nofold takes no value: it is --nofold, or --fold for the contrary"),
        (["--count=" + "9" * 5000], "--count has 5,000 characters; it is a whole number of at most 2147483647"),
        (["--count=99999999999"], "--count is 99999999999; it must be at most 2147483647"),
        (["--count=0"], "--count is 0; it must be at least 1"),
        (["--count=1e3"], "--count is '1e3', which is not a whole number"),
        (["--count="], "--count is '', which is not a whole number"),
        (["--counts=1," + "9" * 5000], "--counts has 5,000 characters"),
        (["--counts=" + "1," * 100_000], "--counts has 100001 values; it must have at most 1000"),
        (["--names=" + "a," * 100_000], "--names has 100001 values; it must have at most 1000"),
        (["--name=a\0b"], r"--name=a\x00b has a null character in it"),
        (["a\0b"], r"a\x00b has a null character in it"),
        (["--name=a\udcff"], r"--name=a\udcff is not UTF-8"),
        (["--name", "a\udcff"], r"a\udcff is not UTF-8"),
        (["--ratio=x"], "could not convert string to float"),
        (["--flagfile"], "--flagfile names no file"),
        (["--flagfile={0}/none"], "none cannot be read: No such file or directory"),
        (["--flagfile={0}"], "cannot be read: Is a directory"),
        (["--flagfile={0}/latin"], "latin is not a text file in UTF-8"),
        (["--flagfile={0}/circle"], "circle includes itself"),
        (["--flagfile", "{0}/large"], "large has over 1,000,000 characters"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_flag_that_cannot_be_is_refused_with_number_and_limit(flags, message, tmp_path, capsys):
    (tmp_path / "latin").write_bytes("--name=ä".encode("latin-1"))
    (tmp_path / "circle").write_text(f"--count=3\n--flagfile={tmp_path / 'circle'}\n")
    (tmp_path / "large").write_text("# " + "x" * 10**6)

    def define(flags):
        for name, kind, default in (("fold", bool, True), ("ratio", float, 1.0), ("name", str, ""), ("names", tuple, ())):
            flags.define(name, kind, default, FlagHelp("", ""))
        flags.define("count", int, 1, FlagHelp("", ""), at_least=1)
        flags.define("counts", tuple, (), FlagHelp("", "", item=int))

    command = Command(lambda flags, arguments: None, define, arguments="FILE...")
    assert main({"x": command}, ["x", *(flag.replace("{0}", str(tmp_path)) for flag in flags)]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.splitlines()) == 1


def test_the_last_of_repeated_flags_counts_and_files_stand_where_they_are_named(tmp_path):
    (tmp_path / "inner").write_text("--name=inner\n")
    (tmp_path / "outer").write_text(f"\ufeff# a comment\n// another\n\n  --name=ü \n--flagfile={tmp_path / 'inner'}\n", "utf-8")
    flags = Flags()
    flags.define("name", str, "", FlagHelp("", ""))
    assert flags.parse("x", ["--name=first", f"--flagfile={tmp_path / 'outer'}", "a", "--name=last"]) == ["a", "--name=last"]
    assert flags.name == "inner"
    assert expand_flagfiles(["--", "--flagfile=none"]) == ["--", "--flagfile=none"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelOptions(width_multiplier=1000.0), r"width_multiplier is 1000\.0; it must be at most 64"),
        (lambda: keras_resnet.ResNet50V1(width_multiplier=20.0), "last stage 10240 wide; at most 8192 is"),
        (lambda: keras_resnet.ResNet20V1(classes=10**9), "classes is 1000000000; it must be at most 10000000"),
        (lambda: get_recipe("short", milestones=(0.5,) * 100_000), "milestones has 100000 values; it must have at most 100"),
        (lambda: get_recipe("short", epochs=10**10), "epochs is 10000000000; it must be at most 2147483647"),
        (lambda: get_recipe("short", batch_size=10**5000), "batch_size is a number that is too long to be written"),
        (
            lambda: TrainConfig("ResNet20V2", "digits", "short", get_recipe("short"), image_size=100_000),
            "image_size is 100000; it must be at most 4096",
        ),
        (lambda: check_counts(1, 10**10, 1, ""), "steps is 10000000000"),
        (lambda: check_at_most("workers", float("inf"), 3), "workers is inf"),
    ],
)
def test_limits_hold_in_code_and_before_anything_is_allocated(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_benchmark_overwrites_nothing(tmp_path, in_process):
    (tmp_path / "b.json").write_text("theirs")
    done = in_process("benchmark", "--task=build", "--model=ResNet20V2", f"--json={tmp_path / 'b.json'}")
    assert_refused(done, "b.json, which exists already")
    assert (tmp_path / "b.json").read_text() == "theirs"


def test_a_baseline_that_was_asked_for_and_fails_is_exit_status_1(monkeypatch, in_process):
    """What was measured of the others is printed all the same."""
    from keras_resnet.cli import benchmark

    entry = types.SimpleNamespace(failure="ModuleNotFoundError: No module named 'torch'")
    result = types.SimpleNamespace(entries=[entry], table=lambda: (["a"], [["1.5"]]), notes=lambda: [f"torch: {entry.failure}"])
    monkeypatch.setattr(benchmark, "measure_training", lambda flags: result)
    arguments = ("benchmark", "--task=train", "--model=ResNet20V2")
    done = in_process(*arguments, "--baselines=torch")
    assert (done.returncode, done.err) == (1, "")
    assert "1.5" in done.out
    assert "No module named 'torch'" in done.out
    assert in_process(*arguments).returncode == 0


def test_a_mistake_in_what_is_launched_is_one_line_and_starts_no_worker(in_process, monkeypatch):
    from keras_resnet.training.distribute import launcher

    monkeypatch.setattr(launcher, "launch", pytest.fail)
    for flags, message in ((["--epoch=3"], "did you mean --epochs?"), (["--epochs=0"], "epochs is 0"), ([], "--workdir")):
        arguments = ["train", "--model=ResNet20V2", "--dataset=digits", *flags]
        arguments += ["--workdir=never"] if flags else []
        assert_refused(in_process("launch", "--workers=3", "--", *arguments), message)


def test_a_path_with_an_umlaut_in_a_terminal_without(tmp_path):
    """In a process of its own, with the streams that Python opens for LANG=C without its UTF-8 mode."""
    path = write_onnx(tmp_path / "m.onnx", labels=("ä", "b", "c"))
    before = "import os, sys; sys.stdout = open(1, 'w', encoding='ascii'); sys.stderr = open(2, 'w', encoding='ascii')"
    done = keras_resnet_command("predict", f"--model_path={path}", tmp_path / "ü.png", before=before)
    assert (done.returncode, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert r"\xfc.png" in done.err
    json.dumps(done.err)
