"""Training of models that give each object a mask; what it shares with detection is there."""
