"""The parts of the HTTP API that are specific to models with masks."""
