"""`python -m keras_resnet.training.benchmarks.device_check`, which `make device-check` runs."""

import argparse
import fnmatch
import sys
from pathlib import Path

from keras_resnet.errors import UserError, print_message

from .checks import CHECKS
from .runner import device_check
from .sizes import FULL, SMALL

JSON = Path("build/device-check.json")


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 if no check failed, 1 if one did or none could run, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="device_check", description="Checks and measures training on the GPU of this machine."
    )
    default = f"by default {FULL.minutes:g}, with small sizes {SMALL.minutes:g}"
    parser.add_argument("--minutes", type=float, help=f"for all checks together; {default}")
    parser.add_argument("--small", action="store_true", help="narrow networks and small images, as without a GPU")
    parser.add_argument("--json", type=Path, default=JSON, metavar="FILE", help="for the results; by default %(default)s")
    parser.add_argument("--only", nargs="+", metavar="PATTERN", help="checks by their keys in that file, such as 'step_*'")
    options = parser.parse_args(arguments)
    if options.minutes is not None and not 0 < options.minutes < 24 * 60:
        parser.error(f"--minutes is {options.minutes:g}; it must be above 0 and below a day")
    patterns = options.only or ["*"]
    checks = [check for check in CHECKS if any(fnmatch.fnmatchcase(check.key, pattern) for pattern in patterns)]
    if not checks:
        parser.error(f"--only is {' '.join(patterns)}, which is no check; among them are {CHECKS[0].key} and {CHECKS[-1].key}")
    try:
        options.json.absolute().parent.mkdir(parents=True, exist_ok=True)
        sizes = SMALL if options.small else None
        report = device_check(options.json, sizes, options.minutes, checks, lambda line: print(line, flush=True))
    except (UserError, OSError) as error:
        print_message(error)
        return 1
    print()
    report.show()
    print(f"all figures are in {options.json}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
