"""Training of networks that give each pixel a class."""
