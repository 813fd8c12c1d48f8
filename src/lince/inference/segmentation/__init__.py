"""Inference with models that say the class of each pixel: predictor, results, and the files that they are saved to."""
