"""Runtimes that execute a network: ONNX Runtime, OpenVINO, LiteRT."""
