"""Networks that give each object a mask."""
