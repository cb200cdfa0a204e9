"""JSON records that are wrong on purpose: values of other types, numbers out of range, depth, and seeded mutations."""

import copy
import json

import numpy as np

DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
LONG_NUMBER = "9" * 5000
NOT_RECORDS = {  # texts in place of a record
    "deep": DEEP,
    "deep list": "[" * 100_000,
    "long number": f'{{"a": {LONG_NUMBER}}}',
    "null": "null",
    "list": "[1, 2]",
    "text": '"record"',
    "number": "7",
    "empty": "",
    "cut": '{"a": ',
    "Latin-1": '{"a": "\udce9"}',
    "two entries": '{"a": 1, "a": 2}',
}
ODD_VALUES = (None, True, False, -1, 0, 10**30, 2**63, 1e308, 5e-324, float("nan"), float("inf"), "", "7", "a\nb\x1b[31m",
              "x" * 100_000, [], {}, [[]], {"a": {}}, [None], [True])  # fmt: skip


def encoded(text):
    """Text as bytes, in which a lone surrogate stands for a byte that is not UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def places(record, path=()):
    """The paths of all values in parsed JSON."""
    yield path
    if isinstance(record, dict):
        for key, value in record.items():
            yield from places(value, (*path, key))
    elif isinstance(record, list):
        for index, value in enumerate(record):
            yield from places(value, (*path, index))


def replaced(record, path, value):
    """A copy of parsed JSON with another value in one place."""
    if not path:
        return value
    record = copy.deepcopy(record)
    inner = record
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return record


def mutated_json(text, seed):
    """The text with one value changed, removed or renamed, or in one case of ten with its characters changed."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.1:
        place = int(rng.integers(max(len(text), 1)))
        return text[:place] + str(rng.choice(list('{}[],:"0e-\\'))) + text[place + int(rng.integers(3)) :]
    record = json.loads(text)
    found = list(places(record))
    path = found[rng.integers(len(found))]
    inner = record
    for step in path[:-1]:
        inner = inner[step]
    action = rng.integers(4)
    if action == 0 and path:
        del inner[path[-1]]
    elif action == 1 and path and isinstance(inner, dict):
        inner[f"{path[-1]}_"] = inner.pop(path[-1])
    else:
        record = replaced(record, path, ODD_VALUES[rng.integers(len(ODD_VALUES))])
    return json.dumps(record)
