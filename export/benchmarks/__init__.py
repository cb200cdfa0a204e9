"""`keras-resnet benchmark --task=export`: latency, memory and size of an export, against other exports of the same model."""
