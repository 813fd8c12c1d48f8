"""Inference with models that say several classes of an image: predictor, results, and what is true of images."""
