"""`model_card.md`: what a person who finds the files should know (Mitchell et al. 2019, arXiv:1810.03993)."""

import json

FILE = "model_card.md"
CONFIG = "config.json"  # beside a model.keras that `keras-resnet train` wrote


def model_card(result):
    """Markdown about the export of a `report.Report`."""
    classifier, config = result.classifier, result.config
    preprocessing, dataset = classifier.preprocessing, classifier.dataset
    rows = [f"| {' | '.join(row)} |" for row in (result.columns, ["---"] * len(result.columns), *result.rows())]
    lines = [
        f"# {classifier.model}{f' on {dataset}' if dataset else ''}",
        "",
        config.description or f"An image classifier of {len(classifier.labels)} classes.",
        "",
        "## Intended use",
        "",
        f"Single pictures of {listed(classifier.labels)}. It answers with one of these classes whatever it is shown, and its",
        "scores are not calibrated. Pictures unlike those that it was trained on are not what it was measured on.",
        "",
        f"Input: {preprocessing.summary()}, raw pixels 0 to 255; scaling and normalisation are inside.",
        f"Output: {config.output}, one for each line of `labels.txt`.",
        "",
        "## Training",
        "",
        f"Data: {dataset or 'not recorded'}.",
        *recipe_lines(config.model_path.with_name(CONFIG)),
        "",
        "## Files",
        "",
        f"Measured on {len(result.images)} images of the test split, which was used for nothing else. Drops are in points.",
        "",
        *rows,
        "",
        "## Licence",
        "",
        config.license or "Not stated.",
    ]
    return "\n".join(lines) + "\n"


def listed(labels, most=10):
    shown = ", ".join(labels[:most])
    return shown if len(labels) <= most else f"{shown} and {len(labels) - most} other classes"


def recipe_lines(path):
    """The recipe, where the record of a training lies beside the model."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        settings = record["recipe"]
    except (OSError, ValueError, KeyError, TypeError):
        return ["Recipe: not recorded."]
    used = {name: value for name, value in settings.items() if name != "reference" and value not in (0, False, [])}
    changed = ", ".join(f"{name} {value}" for name, value in used.items())
    return [f"Recipe: {record.get('recipe_name')}, seed {record.get('seed')}: {changed}."]
