"""CreateML JSON: classes and boxes."""
