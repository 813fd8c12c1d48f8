"""From a dataset and choices to a finished run: features, heads, the loop, the recipes."""
