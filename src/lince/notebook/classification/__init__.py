"""What notebooks show of classifiers."""
