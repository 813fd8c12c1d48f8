"""What notebooks show of multilabel models."""
