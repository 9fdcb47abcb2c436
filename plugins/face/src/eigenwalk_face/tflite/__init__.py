"""Networks from TensorFlow Lite's files, as frozen modules of PyTorch that can be differentiated in every way."""

from eigenwalk_face.tflite.reader import load

__all__ = ["load"]
