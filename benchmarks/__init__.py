"""Benchmarks of lince against peers or a lower bound: `python -m benchmarks NAME`."""

import lince  # noqa: F401  # switches off what ONNX Runtime and the peers report, before a benchmark imports them
