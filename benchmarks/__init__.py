"""Measures lince beside its peers or a floor: `python -m benchmarks NAME`."""
