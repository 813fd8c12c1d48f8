"""What an export does for object detectors: outputs to compare, latency, and the self-contained graph."""
