"""Inference with object detectors: predictor, results, and the files that they are saved to."""
