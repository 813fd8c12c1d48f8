"""Inference backends, one per runtime: ONNX Runtime, OpenVINO, LiteRT."""
