"""Exported networks as generators for eigenwalk: torch.export, TorchScript and ONNX files."""
