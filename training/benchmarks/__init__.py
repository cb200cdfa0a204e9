"""`keras-resnet benchmark`: this package's training, input pipeline and model building, measured against Keras and PyTorch."""
