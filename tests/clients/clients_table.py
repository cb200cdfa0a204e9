"""The table in docs/clients.md, from what the tests have found: `pytest tests/clients --update_clients_table`."""

from conftest import ROOT
from known_limits import KNOWN_LIMITS

from keras_resnet.export.clients.table import CLIENTS
from keras_resnet.export.reporting.report import versions_text
from keras_resnet.export.targets import DEFAULT_QUANTIZATIONS, TARGETS
from keras_resnet.files import write_text

PAGE = ROOT / "docs" / "clients.md"
BEGIN, END = "<!-- made by the tests -->\n", "<!-- until here -->\n"
ARTIFACTS = [
    name
    for name, target in TARGETS.items()
    if target.quantization in DEFAULT_QUANTIZATIONS and any(client.reads_target(target) for client in CLIENTS.values())
]


def read_artifacts(client):
    """The names of the artifacts of a default export that a client reads."""
    return [name for name in ARTIFACTS if client.reads_target(TARGETS[name])]


def table(results):
    """The table in Markdown. results: `{(client, network): {artifact: ClientResult}}`; who has none is not installed."""
    limits = list(dict.fromkeys(KNOWN_LIMITS.values()))
    rows = [["client", "version", "images at once", *(f"`{TARGETS[name].file}`" for name in ARTIFACTS)]]
    rows.append(["---"] * len(rows[0]))
    for client in CLIENTS.values():
        found = [answers for (name, _), answers in results.items() if name == client.name]
        version = versions_text(next(iter(found[0].values()))) if found else "not installed"
        cells = [cell(client, name, [answers[name] for answers in found if name in answers], limits) for name in ARTIFACTS]
        rows.append([f"{client.title} (`{client.name}`)", version, " and ".join(map(str, client.batch_sizes)), *cells])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    notes = [f"{number}. {text[0].upper()}{text[1:]}." for number, text in enumerate(limits, 1)]
    return "\n".join([*lines, *(["", *notes] if notes else [])]) + "\n"


def cell(client, artifact, results, limits):
    if not client.reads_target(TARGETS[artifact]) or not results:
        return ""
    if any(not result.passed for result in results):
        reason = KNOWN_LIMITS.get((client.name, artifact))
        return f"no ({limits.index(reason) + 1})" if reason else "no"
    return next((result.note for result in results if result.note), "yes")


def write_table(results):
    """Puts the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    write_text(PAGE, f"{before}{BEGIN}{table(results)}{END}{rest.split(END)[1]}")
