"""What notebooks show of detectors."""
