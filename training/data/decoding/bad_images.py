"""Images that turn out to be unreadable while others are trained on: named, counted, and never silently gone."""

import threading

from keras_resnet.errors import UserError, comma_join, print_message

from ...config import BAD_IMAGES

MAX_NAMED = 20  # in a line of their own; the rest is only counted
VERBS = ("is ", "has ", "begins ", "ends ")  # with which a reason may begin


class BadImageError(Exception):
    """An unreadable image of a run that is to fail on one. Its text gets out of a pipeline of TensorFlow."""


class BadImages:
    """The unreadable images that were found so far.

    Attributes:
        found: {where an image is: its name}, in the order in which they were found. Names are distinct within a split only.
        names: Of all.
    """

    def __init__(self, policy: str) -> None:
        """policy: "skip" or "fail", what to do about one."""
        if policy not in BAD_IMAGES:
            raise UserError(f"on_bad_image is {policy!r}; it must be one of {comma_join(BAD_IMAGES)}")
        self.policy, self.found = policy, dict[str, str]()
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        return list(self.found.values())

    def add(self, name: str, location: str, reason: str) -> None:
        """Takes note of an image, and says so the first time.

        Args:
            name: Of the image, as `Records.name`.
            location: Where it is.
            reason: What is wrong with it, to stand after that.

        Raises:
            BadImageError: If the policy is "fail".
        """
        if self.policy == "fail":
            raise BadImageError(f"{location} {reason}. --on_bad_image=skip leaves such images out")
        with self._lock:
            if location in self.found:
                return
            self.note(name, location)
            if len(self.found) <= MAX_NAMED:
                rest = "" if len(self.found) < MAX_NAMED else ". Further ones are only counted"
                because = f"it {reason}" if reason.startswith(VERBS) else reason
                print_message(f"{location} cannot be read: {because}. In training the next image takes its place{rest}")

    def note(self, name: str, location: str) -> None:
        """Takes note of an image of which the user has been told."""
        self.found[location] = name
