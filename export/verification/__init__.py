"""Each artifact is reloaded without Keras, in a process of its own, and compared with the Keras model."""
