"""Makes room for graphs that are longer than Python's recursion limit."""

import sys

DEFAULT_LIMIT = 1000


def raise_recursion_limit(layers: int) -> None:
    """Raises the recursion limit, if necessary, to what Keras may use on a graph of that many layers.

    Keras walks a functional graph by recursion along its longest path, which has more than 1,200 layers in ResNet1202V1.
    The limit stays raised, because Keras walks again whenever the network is cloned or cut.
    """
    if layers >= DEFAULT_LIMIT // 2:
        sys.setrecursionlimit(max(sys.getrecursionlimit(), DEFAULT_LIMIT + layers))
