"""The networks of keras.applications that are nearest to this package's."""

# This package's name and the function in keras.applications. For V1_5 that one has its strides on the 1x1, as V1 has.
APPLICATIONS = {
    f"ResNet{depth}{ours}": f"ResNet{depth}{theirs}"
    for depth in (50, 101, 152)
    for ours, theirs in (("V1", ""), ("V1_5", ""), ("V2Slim", "V2"))
}


def nearest_application(name: str) -> str | None:
    """Returns the function nearest to the network of that name, in the table's spelling or in lowercase; None without one."""
    return {ours.lower(): theirs for ours, theirs in APPLICATIONS.items()}.get(name.lower())
