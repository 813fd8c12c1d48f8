"""CSV tables with one class per image."""
