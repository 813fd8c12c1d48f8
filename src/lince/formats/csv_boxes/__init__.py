"""CSV tables with one row per box."""
