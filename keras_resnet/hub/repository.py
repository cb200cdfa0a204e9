"""A repository of the hub at one commit, or a folder laid out like one: its config.json, weights, license and origin."""

import dataclasses
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_resnet.errors import UserError, comma_join
from keras_resnet.metadata import ClassifierMetadata, Origin, check_license
from keras_resnet.records import read_json
from keras_resnet.remote_copies import remember_copy

from .cards import CARD, front_matter_texts
from .client import download, files_of
from .names import HubName, is_hub_name, parse_hub_name
from .network_config import NetworkConfig
from .timm_config import is_timm_config, read_timm_config
from .transformers_config import is_transformers_config, read_transformers_config

CONFIG, PROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
LOCAL_WEIGHTS = (WEIGHTS, "pytorch_model.bin", "pytorch_model.pth", "model.pth")  # timm's order
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".tar")


@dataclasses.dataclass(frozen=True)
class Repository:
    """A repository of the hub, or a local folder.

    Attributes:
        name: as it was given, such as "hf://timm/resnet50d.ra2_in1k", or the folder.
        hub_name: on the hub, with the commit for its revision; None for a folder.
        folder: the local one.
    """

    name: str
    hub_name: HubName | None
    folder: Path | None = None

    def file(self, name: str) -> Path | None:
        """The local path of a file, which is fetched where it is not cached; None if there is none.

        Raises:
            UserError: if it cannot be fetched.
        """
        if self.folder is not None:
            return path if (path := self.folder / name).is_file() else None
        assert self.hub_name
        path = download(self.hub_name, name)
        if path is not None:
            remember_copy(path, f"{self.name}/{name}")
        return path

    @functools.cached_property
    def config(self) -> NetworkConfig | None:
        """What config.json says about the network; None if there is none, or it is of another library.

        Raises:
            UserError: if it is of timm or transformers, and wrong, or of a network which this zoo does not have.
        """
        record = read_object(self.file(CONFIG))
        try:
            if is_timm_config(record):
                return read_timm_config(record)
            if is_transformers_config(record):
                return read_transformers_config(record, read_object(self.file(PROCESSOR)) or None)
        except UserError as error:
            raise UserError(f"{self.name}, {CONFIG}: {error}") from error
        return None

    @property
    def network(self) -> NetworkConfig:
        """The same, where it is needed.

        Raises:
            UserError: also if there is none.
        """
        if self.config is None:
            found = "does not say of which network it is" if self.file(CONFIG) else "is missing"
            raise UserError(f"{self.name}: {CONFIG} {found}, as those of timm and transformers do")
        return self.config

    @functools.cached_property
    def license(self) -> str:
        """Its license as the card says it, or else config.json; "" where neither does.

        Raises:
            UserError: if it is not one short line.
        """
        path = self.file(CARD)
        card = front_matter_texts(path) if path else {}
        named = card.get("license_name") if card.get("license") == "other" else card.get("license")
        try:
            check_license(named or "")
        except UserError as error:
            raise UserError(f"{self.name}, {CARD}: {error}") from error
        return named or (self.config.license if self.config else "")

    @property
    def origin(self) -> Origin:
        """Where the weights are from, for the metadata of a classifier."""
        revision = self.hub_name.revision if self.hub_name else ""
        name = str(HubName(self.hub_name.repo)) if self.hub_name else self.name
        return Origin(name, revision, self.config.architecture if self.config else "", self.license)

    def metadata(self, model: str) -> ClassifierMetadata | None:
        """What config.json says, as a `.keras` file of the classifier has it; None if it does not say how images are prepared.

        model: our name of the network.
        """
        network = self.config
        if network is None or network.preprocessing is None:
            return None
        return ClassifierMetadata(model, "", network.class_names, network.preprocessing, self.origin)

    def weights(self) -> Path:
        """The file with the weights; from the hub one of safetensors, which cannot hold code.

        Raises:
            UserError: if there is none.
        """
        if self.folder is not None:
            return local_weights(self.folder)
        if path := self.file(WEIGHTS):
            return path
        assert self.hub_name
        others = files_of(self.hub_name)
        if pickles := [name for name in others if name.endswith(PICKLES)]:
            raise UserError(
                f"{self.name} has no {WEIGHTS}, only {comma_join(pickles, 3)}, which may hold code and is not fetched; "
                "download it yourself if you trust it, and give its path"
            )
        raise UserError(f"{self.name} has no {WEIGHTS}{f'; it has {comma_join(others, 5)}' if others else ''}")


def local_weights(folder: Path) -> Path:
    """The file with the weights in a folder.

    Raises:
        UserError: if there is none, or several that might be meant.
    """
    for name in LOCAL_WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    found = sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", ".pth", ".bin", ".h5"))
    if len(found) != 1:
        names = comma_join((path.name for path in found), 5)
        raise UserError(
            f"{folder} has {f'several files of weights, {names}: give the path of one' if found else f'no {WEIGHTS}'}"
        )
    return found[0]


def read_object(path: Path | None) -> Mapping[str, Any]:
    """The object in a JSON file; an empty one where there is no file, or it holds something else."""
    record = read_json(path) if path else None
    return record if isinstance(record, dict) else {}


def find_repository(path: str | os.PathLike[str]) -> Repository | None:
    """The repository of a name on the hub, or a folder with the config.json of timm or transformers; None for other paths.

    Raises:
        UserError: for a name of the hub that is malformed, or that the hub does not have; see `client.download`.
    """
    if isinstance(path, str) and is_hub_name(path):
        return hub_repository(parse_hub_name(path))
    folder = Path(path)
    if not os.path.isfile(folder / CONFIG):  # unlike `Path.is_file` it takes a name that is too long for one of no file
        return None
    record = read_object(folder / CONFIG)
    return Repository(os.fspath(path), None, folder) if is_timm_config(record) or is_transformers_config(record) else None


@functools.cache
def hub_repository(name: HubName) -> Repository:
    """The repository at the commit that its name means now: in one process, the same for all who ask."""
    path = download(name, CONFIG) or download(name, WEIGHTS)
    if path is None:
        return Repository(str(name), name)  # `weights` says what it has
    return Repository(str(name), HubName(name.repo, path.parent.name))
