"""Names of repositories on the Hugging Face Hub: `hf://owner/name@revision`, and timm's spelling `hf-hub:owner/name`."""

import re
from typing import NamedTuple

from keras_resnet.errors import UserError

PREFIX = re.compile(r"hf://|hf[-_]hub:")
NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./+-]+))?", re.ASCII)
EXAMPLE = "hf://timm/resnet50d.ra2_in1k"


class HubName(NamedTuple):
    """A repository, such as "timm/resnet50d.ra2_in1k", and its branch, tag or commit; "" for the newest state of its own."""

    repo: str
    revision: str = ""

    def __str__(self) -> str:
        return f"hf://{self.repo}{f'@{self.revision}' if self.revision else ''}"


def is_hub_name(path: object) -> bool:
    """Whether this is the name of a repository on the hub, well-formed or not. A `Path` is none."""
    return isinstance(path, str) and PREFIX.match(path) is not None


def parse_hub_name(text: str) -> HubName:
    """Parses `hf://owner/name[@revision]`.

    Raises:
        UserError: for anything else.
    """
    match = NAME.fullmatch(PREFIX.sub("", text, count=1))
    if not is_hub_name(text) or match is None or any(part.strip(".") == "" for part in match["repo"].split("/")):
        raise UserError(f"{text} is not the name of a repository: it must be like {EXAMPLE}, and may end in @revision")
    return HubName(match["repo"], match["revision"] or "")
