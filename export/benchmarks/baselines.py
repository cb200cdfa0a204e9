"""The artifacts of the exporters that an export is compared against, written anew from the same model."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from ..formats import FORMATS
from ..targets import TARGETS
from .artifacts import Artifact
from .config import LatencyConfig
from .exporters import EXPORTERS


def write_baselines(
    config: LatencyConfig, formats: Collection[str], folder: Path, verbosity: str, report_progress: Callable[[str], None]
) -> Iterator[Artifact]:
    """Yields the artifacts of all exporters of `config`, in those of `formats` that they have, each in its own subfolder."""
    for name in config.exporters:
        exporter = EXPORTERS[name]
        report_progress(f"{exporter.title}: exporting")
        (folder / name).mkdir()
        paths = {format: folder / name / TARGETS[format].file for format in exporter.formats if format in formats}
        failures = exporter.write(config.source_path, config.model, paths, verbosity) if paths else {}
        for format, path in paths.items():
            yield Artifact(name, f"{exporter.title}, {FORMATS[format].title}", path, failures.get(format, ""))
