"""What is not in our hands: clients that do not read what they should, by client and artifact. A row that is no longer true is
a failing test; `docs/clients.md` shows the reasons."""

KNOWN_LIMITS = {
    ("opencv4", "tflite"): "its reader of TFLite files leaves out the bias of the last layer",
    ("opencv4", "tflite_fp16"): "its reader of TFLite files leaves out the bias of the last layer",
    ("opencv4", "tflite_int8"): "its reader of TFLite files knows no subtraction of integers",
    ("opencv5", "tflite_int8"): "its reader of TFLite files knows no subtraction of integers",
}
