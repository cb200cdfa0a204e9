"""`keras-resnet benchmark --what=export`: latency, memory and size of an export, against others' exports of the same model."""
