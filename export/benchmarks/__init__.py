"""`keras-resnet benchmark --task=export`: latency, memory and size of an export, against others' exports of the same model."""
