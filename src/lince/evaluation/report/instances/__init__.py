"""The report of a model that gives each object a mask; what it shares with detection is there."""
