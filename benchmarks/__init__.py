"""Benchmarks of lince against peers or a lower bound: `python -m benchmarks NAME`."""
