"""`keras-resnet benchmark`: our training, input and building against others', in turns, each in a process of its own."""
