"""Training networks that find objects: the same loop and the same three recipes, with boxes."""
