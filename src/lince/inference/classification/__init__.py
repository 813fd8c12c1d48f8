"""Inference with image classifiers: predictor, results, and the files that they are saved to."""
