"""Catches a name or a signature that editors complete wrongly: `__init__.pyi` is written from the table and the functions.

`python tests/test_stub.py` writes it anew.
"""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import keras_resnet
from keras_resnet.models.variants import VARIANTS

STUB = Path(keras_resnet.__file__).with_name("__init__.pyi")

TEMPLATE = '''\
"""The public names for editors and type checkers. `python tests/test_stub.py` writes this file from the table of variants."""

from collections.abc import Callable
from os import PathLike
from typing import Protocol

from keras import KerasTensor, Model

{rooms}
{imports}

__version__: str

def list_models() -> list[str]: ...

{protocol}

{networks}

__all__ = [  # noqa: RUF022  in the order of the table
{names}
]
'''
PROTOCOL = """\
class {name}(Protocol):
    def __call__(
        self,
{parameters}
    ) -> Model: ..."""
CONSTRUCTOR = "_Constructor"  # of every network


def parameters_of(network):
    """A constructor's parameters, one per line; the default name is each network's own."""
    yielded_star = False
    for p in inspect.signature(getattr(keras_resnet, network)).parameters.values():
        if p.kind is p.KEYWORD_ONLY and not yielded_star:
            yielded_star = True
            yield "        *,"
        default = "..." if p.name == "name" else repr(p.default).replace("'", '"')
        yield f"        {p.name}: {p.annotation} = {default},"


def stub():
    """The text of `__init__.pyi`."""
    modules = {name: module.partition(".")[2] for name, module in keras_resnet._MODULES.items()}
    imports = sorted(f"from .{module} import {name} as {name}" for name, module in modules.items())
    parameters = "\n".join(parameters_of(next(iter(VARIANTS))))
    return TEMPLATE.format(
        rooms="\n".join(f"from . import {name} as {name}" for name in keras_resnet._ROOMS),
        imports="\n".join(imports),
        protocol=PROTOCOL.format(name=CONSTRUCTOR, parameters=parameters),
        networks="\n".join(f"{name}: {CONSTRUCTOR}" for name in VARIANTS),
        names="\n".join(f'    "{name}",' for name in keras_resnet.__all__),
    )


@pytest.fixture(scope="module")
def tree():
    return ast.parse(STUB.read_text(encoding="utf-8"))


def test_the_stub_is_not_what_the_table_and_the_functions_make_it():
    assert STUB.read_text(encoding="utf-8") == stub(), "run `python tests/test_stub.py`"


@pytest.mark.parametrize("network", VARIANTS)
def test_a_networks_signature_is_another_than_the_stubs(network, tree):
    [annotation] = [n.annotation.id for n in tree.body if isinstance(n, ast.AnnAssign) and n.target.id == network]
    [protocol] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == annotation]
    [call] = protocol.body
    positional, keyword_only = call.args.args[1:], call.args.kwonlyargs
    defaults = dict(zip([*positional, *keyword_only], [*call.args.defaults, *call.args.kw_defaults], strict=True))
    signature = inspect.signature(getattr(keras_resnet, network))
    assert [p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD] == [a.arg for a in positional]
    assert [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY] == [a.arg for a in keyword_only]
    for argument, default in defaults.items():
        ours = signature.parameters[argument.arg]
        assert ours.annotation == ast.unparse(argument.annotation)
        if argument.arg == "name":
            assert (ours.default, ast.unparse(default)) == (network.lower(), "...")
        else:
            assert ours.default == ast.literal_eval(default)
    assert signature.return_annotation == ast.unparse(call.returns)


def test_the_stub_lacks_a_public_name_or_takes_it_from_another_module(tree):
    imported = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level and node.module:
            imported |= {alias.asname: (f"keras_resnet.{node.module}", alias.name) for alias in node.names}
    for name, (module, original) in imported.items():
        assert getattr(importlib.import_module(module), original) is getattr(keras_resnet, name)
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    [names] = [n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "__all__"]
    assert ast.literal_eval(names) == keras_resnet.__all__
    assert {*imported, *keras_resnet._ROOMS, *functions, *VARIANTS} == set(keras_resnet.__all__)


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
