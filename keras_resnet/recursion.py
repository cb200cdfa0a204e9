"""Room for graphs that are longer than Python's recursion limit."""

import sys

DEFAULT_LIMIT = 1000


def raise_recursion_limit(layers):
    """Raises the recursion limit, if need be, to what Keras may use on a graph of so many layers.

    Keras walks a functional graph by recursion along the trunk, and the trunk of ResNet1202V1 has 1,200 layers. The limit
    stays raised, because Keras walks again whenever the network is cloned or cut.
    """
    if layers >= DEFAULT_LIMIT // 2:
        sys.setrecursionlimit(max(sys.getrecursionlimit(), DEFAULT_LIMIT + layers))
