"""What an export does for image classifiers: outputs to compare, latency, and the self-contained graph."""
