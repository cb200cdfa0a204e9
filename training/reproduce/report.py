"""`report.html`: the claims with what the runs say about each, every run's curve, and all runs in a table."""

import dataclasses
import html
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from keras_resnet.files import write_text
from keras_resnet.html import picture, table

from ..reporting.page import as_text, definitions, fill_template
from .claims import LEAST_RUNS, OPPOSITE, SHOWN, AtMost, Larger, NotLarger, Verdict
from .measures import MEASURES
from .plots import flow_figure, png, save, training_figure
from .reproduction import Reproduction
from .results import DONE, RunResult
from .statistics import LEVEL, median

REPORT_FILE, PICTURE_FILE = "report.html", "curves.png"
SHOWN_MEASURES = ("train_loss", "mean_loss", "test_error")
TRAINING_CAPTION = (
    "A thin line or a dot is one run, a thick line is the median of a network's runs. The held-out error is that of the share "
    "of the training split that is not trained on; the test error is that of the epoch with the best held-out accuracy."
)
FLOW_CAPTION = (
    "From the first unit to the last, a line per run: dashed at the start, solid after the last epoch. Gradients and outputs "
    "are root mean squares per element, kernels' gradients L2 norms; the last row is the norm of a unit's branch over that of "
    "its skip path. What is zero or not finite is left out."
)


def write_report(reproduction: Reproduction, folder: Path) -> None:
    """Writes the page and the picture into the folder of the experiment."""
    config, runs = reproduction.config, reproduction.by_arm()
    plan, draw = config.plan, training_figure if config.plan.trains else flow_figure
    save(draw, runs, folder / PICTURE_FILE)
    recipe = dataclasses.asdict(plan.config(plan.arms[0], 0).recipe)
    page = fill_template(
        resources.files(__package__ or "") / "report_template.html",
        title=html.escape(f"{config.experiment}, {config.budget} budget"),
        question=html.escape(config.row.question),
        reference=html.escape(config.row.reference),
        figures=definitions(key_figures(reproduction)),
        method=html.escape(method(reproduction)),
        claims="\n".join(map(claim_item, reproduction.verdicts)),
        caption=TRAINING_CAPTION if plan.trains else FLOW_CAPTION,
        plots=picture(png(draw, runs, dark=False), png(draw, runs, dark=True), "the runs"),
        networks=networks_table(reproduction),
        runs=table(("network", "seed", "ended", *measured_titles(plan.trains), "seconds"), run_rows(reproduction)),
        facts=definitions(facts(reproduction)),
        recipe=definitions((name, as_text(value)) for name, value in recipe.items()),
    )
    write_text(folder / REPORT_FILE, page)


def key_figures(reproduction: Reproduction) -> Iterator[tuple[str, str]]:
    """The numbers that a reader looks for first."""
    outcomes = [verdict.outcome for verdict in reproduction.verdicts]
    yield "claims shown", f"{outcomes.count(SHOWN)} of {len(outcomes)}"
    if outcomes.count(OPPOSITE):
        yield "opposite shown", str(outcomes.count(OPPOSITE))
    yield "runs", str(len(reproduction.results))
    if reproduction.failed:
        yield "runs that failed", str(len(reproduction.failed))
    yield "computing", f"{sum(result.seconds for result in reproduction.results) / 60:.0f} min"


def method(reproduction: Reproduction) -> str:
    """How the claims were tested."""
    kinds = [type(claim) for claim in reproduction.config.claims]
    tests = kinds.count(Larger)
    sentences = [
        f"A difference counts as shown if an exact one-sided rank test over the seeds (Mann-Whitney) gives p of at most {LEVEL}"
        ", and the opposite if the test of the other side does." if tests else "",
        f"There are {tests} such tests here, and no correction for that." if tests > 1 else "",
        "That one is at most so much larger than another counts as shown if the upper bound of the difference is."
        if NotLarger in kinds else "",
        "Differences are medians over all pairs of runs; their bounds hold with 95 % confidence each."
        if tests or NotLarger in kinds else "",
        f"What is said to be at most a number counts as shown if it is in every run, of {LEAST_RUNS} at least, and the "
        "opposite if it is in none." if AtMost in kinds else "",
        "A run that diverged counts as the worst.",
        reproduction.config.plan.caveat,
    ]  # fmt: skip
    return " ".join(filter(None, sentences))


def claim_item(verdict: Verdict) -> str:
    """A claim with its outcome, evidence and, if it did not show, the likely reason."""
    kind = {SHOWN: "shown", OPPOSITE: "opposite"}.get(verdict.outcome, "")
    reason = f"<br>{html.escape(verdict.reason)}" if verdict.reason else ""
    return (
        f'<li><span class="outcome {kind}">{verdict.outcome}</span><b>{html.escape(verdict.claim)}</b>'
        f"<small>{html.escape(verdict.reference)}</small><br>{html.escape(verdict.evidence)}{reason}</li>"
    )


def measured_titles(trains: bool) -> list[str]:
    return [MEASURES[key].title for key in SHOWN_MEASURES] if trains else []


def networks_table(reproduction: Reproduction) -> str:
    """A row per network: what it is, and the median of each measure with the smallest and the largest."""
    plan, rows = reproduction.config.plan, []
    for arm, (label, runs) in zip(plan.arms, reproduction.by_arm().items(), strict=True):
        config = plan.config(arm, 0)
        cells = [spread(key, runs) for key in SHOWN_MEASURES] if plan.trains else []
        varied = [f"{name}={value}" for name in ("unit", "shortcut") if (value := getattr(arm, name))]
        rows.append((label, " ".join([arm.model, *varied]), config.dataset, config.recipe.epochs, len(runs), *cells))
    return table(("name", "network", "data", "epochs", "runs", *measured_titles(plan.trains)), rows)


def spread(key: str, runs: list[RunResult]) -> str:
    """The median with the smallest and the largest value."""
    if not runs:
        return ""
    measure, values = MEASURES[key], [MEASURES[key].of(run) for run in runs]
    return f"{measure.text(median(values))} ({measure.text(min(values))} to {measure.text(max(values))})"


def run_rows(reproduction: Reproduction) -> Iterator[tuple[object, ...]]:
    """A row per run."""
    for result in reproduction.results:
        cells = [MEASURES[key].text(MEASURES[key].of(result)) for key in SHOWN_MEASURES if reproduction.config.plan.trains]
        yield result.arm, result.seed, result.message or DONE, *cells, f"{result.seconds:.0f}"


def facts(reproduction: Reproduction) -> Iterator[tuple[str, str]]:
    """What ran, how to run it again, and on what."""
    plan = reproduction.config.plan
    yield "command", command(reproduction)
    yield "data", f"{plan.dataset}; {plan.validation_fraction:.0%} of the training split is held out"
    yield (
        "recipe",
        f"{plan.recipe_name}, with {', '.join(f'{key}={value}' for key, value in plan.overrides.items()) or 'no changes'}",
    )
    changed = {arm.label: arm.overrides for arm in plan.arms if arm.overrides}
    for label, overrides in changed.items():
        yield label, ", ".join(f"{key}={value}" for key, value in overrides.items())
    threads = f", and with TF_NUM_INTRAOP_THREADS={plan.threads}" if plan.threads else ""
    train = f"keras-resnet train --config=config.json --workdir=FOLDER, with the config.json of its folder{threads}"
    yield "each run", f"is also the command {train}" if plan.trains else "has no folder"
    yield "machine", "; ".join(sorted({result.machine or "not recorded" for result in reproduction.results})) or "none"
    for message in reproduction.failed:
        yield "failed", message


def command(reproduction: Reproduction) -> str:
    """The command line that makes this report."""
    config = reproduction.config
    folder, seeds = "FOLDER" if config.data_dir else None, ",".join(map(str, config.seeds))
    given = {"dataset": config.dataset, "data_dir": folder, "epochs": config.epochs, "seeds": seeds}
    options = [f"--{name}={value}" for name, value in given.items() if value]
    return " ".join(["keras-resnet reproduce", f"--experiment={config.experiment}", f"--budget={config.budget}", *options])
