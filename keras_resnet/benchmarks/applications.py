"""What of keras.applications stands beside our networks."""

# Ours and the function that is nearest: for V1_5 it has the stride on the 1x1 as in V1.
APPLICATIONS = {
    f"ResNet{depth}{ours}": f"ResNet{depth}{theirs}"
    for depth in (50, 101, 152)
    for ours, theirs in (("V1", ""), ("V1_5", ""), ("V2Slim", "V2"))
}


def application(name):
    """The function that is nearest to a network of ours, by its name in the table or its model's, in small letters; or None."""
    return {ours.lower(): theirs for ours, theirs in APPLICATIONS.items()}.get(name.lower())
