"""THE table of what can be exported: the targets of all formats, and the choice among them."""

from collections.abc import Sequence

from keras_resnet.errors import UserError, comma_join

from .formats import FORMATS
from .formats.format import ExportTarget

__all__ = ["DEFAULT_QUANTIZATIONS", "FORMATS", "QUANTIZATIONS", "TARGETS", "ExportTarget", "select_targets"]

TARGETS: dict[str, ExportTarget] = {target.name: target for format in FORMATS.values() for target in format.targets}
QUANTIZATIONS = tuple(dict.fromkeys(target.quantization for target in TARGETS.values()))
DEFAULT_QUANTIZATIONS = ("none", "fp16", "int8")


def select_targets(formats: Sequence[str], quantizations: Sequence[str] | None = None) -> dict[str, ExportTarget]:
    """Returns `{name: ExportTarget}` of all quantizations that the formats have, but only the last of those with one file name.

    Args:
        formats: Keys of `FORMATS`.
        quantizations: Of `QUANTIZATIONS`; None means the default ones, as far as one of the formats has them.

    Raises:
        UserError: For an unknown format or quantization, and for a quantization that none of the formats has.
    """
    available = {name: [target.quantization for target in TARGETS.values() if target.format == name] for name in formats}
    supported = {quantization for names in available.values() for quantization in names}
    if quantizations is None:
        quantizations = [name for name in DEFAULT_QUANTIZATIONS if name in supported] or DEFAULT_QUANTIZATIONS
    for what, given, valid in (("format", formats, FORMATS), ("quantization", quantizations, QUANTIZATIONS)):
        unknown = [name for name in given if name not in valid]
        if unknown or not given:
            raise UserError(f"unknown {what} {comma_join(unknown)!r}; the {what}s are {comma_join(valid)}")
    missing = [name for name in quantizations if name not in supported]
    if missing:
        has = "; ".join(f"{name} has {comma_join(names)}" for name, names in available.items())
        raise UserError(f"there is no {comma_join(missing)} in {comma_join(formats)}: {has}")
    chosen = [target for target in TARGETS.values() if target.format in formats and target.quantization in quantizations]
    by_file = {target.file: target for target in chosen}  # of those that would have the same name, the last
    return {target.name: target for target in by_file.values()}
