"""Licenses by the identifiers of the Hugging Face Hub, and which of them forbid commercial use."""

import functools
import re

from keras_resnet.errors import print_message

# huggingface.co/docs/hub/repositories-licenses, the column "License identifier (to use in repo card)"
HUB_LICENSES = (
    "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "bigcode-openrail-m", "afl-3.0",
    "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "c-uda", "cc", "cc0-1.0",
    "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0",
    "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0",
    "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0",
    "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0",
    "eupl-1.1", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "isc", "lppl-1.3c", "ms-pl",
    "mpl-2.0", "odc-by", "odbl", "openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa", "unlicense", "zlib", "pddl",
    "lgpl-lr", "unknown", "other",
)  # fmt: skip
NON_COMMERCIAL = re.compile(r"(?:^|[-_ ])nc(?:[-_ ]|$)|non-?commercial|(?:^|-)research(?:-|$)", re.IGNORECASE)


def is_non_commercial(license: str) -> bool:
    """Whether a license forbids commercial use, by its identifier: cc-by-nc-4.0 and its kin, and licenses for research."""
    return NON_COMMERCIAL.search(license) is not None


def hub_license(license: str) -> dict[str, str]:
    """The entries of a model card's front matter for a license as people write it; empty for none.

    The hub refuses a card with an identifier that it does not know: such a license is `other`, with a name.
    """
    identifier = re.sub(r"[^a-z0-9.+]+", "-", license.lower()).strip("-")
    if not identifier:
        return {}
    return {"license": identifier} if identifier in HUB_LICENSES else {"license": "other", "license_name": identifier}


@functools.cache
def say_if_non_commercial(weights: str, license: str) -> None:
    """Prints a line on standard error if the weights must not be used commercially; once in a process."""
    if is_non_commercial(license):
        print_message(f"{weights} has the license {license}, which forbids commercial use")
