"""Exports trained networks to files that run without torch, each verified against the network it came from."""
