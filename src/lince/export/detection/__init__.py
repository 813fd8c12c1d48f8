"""The parts of an export that are specific to object detectors."""
