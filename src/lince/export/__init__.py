"""From a trained network to files that run without torch, each checked against the network it came from."""
