"""What `keras-resnet` can do, by theme. Rooms that load TensorFlow are imported inside, once the environment is prepared."""
