"""From a dataset and choices to a finished run: features, heads, the loop, the recipes."""

import os

# Threads that wait for each other sleep instead of spinning: on two cores that something else uses too, a training
# step takes a seventh of the time. The library behind torch reads this when it is loaded, so it stands here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
