"""Runs one artefact in a process of its own, in which Keras cannot be imported: `python -m keras_resnet.export.worker`."""

import sys

import numpy as np


def main(path, images, outputs):
    sys.modules["keras"] = None  # TensorFlow imports it where it can; a SavedModel must do without
    from keras_resnet.export.runtimes import open_artefact

    np.save(outputs, open_artefact(path).run(np.load(images)))


if __name__ == "__main__":
    main(*sys.argv[1:])
