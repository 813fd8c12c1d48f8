"""The parts of an export that are specific to models with masks."""
