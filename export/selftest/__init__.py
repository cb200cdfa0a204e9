"""A proof that travels: images and what Keras gives for them, beside the artifacts, to be run on any machine."""
