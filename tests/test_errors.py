"""Catches a list that is cut off in a message without a word."""

import pytest

from keras_resnet.errors import comma_join


@pytest.mark.parametrize(
    ("most", "expected"), [(None, "1, 2, 3"), (4, "1, 2, 3"), (3, "1, 2, 3"), (2, "1, 2, ..."), (1, "1, ...")]
)
def test_a_list_that_is_cut_off_says_so(most, expected):
    assert comma_join((1, 2, 3), most) == expected


def test_no_values_are_no_text():
    assert comma_join([]) == comma_join([], 3) == ""
