"""Trains classifiers and detectors: features, heads, the training loop and the recipes."""

import os

# OpenMP threads that wait for each other sleep instead of spinning: on two cores that other processes use too, a
# training step then takes a seventh of the time. OpenMP reads this when torch is imported, so it must be set before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
