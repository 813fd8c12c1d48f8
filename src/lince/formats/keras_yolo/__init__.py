"""Text lists of keras-yolo3: a line for each image, with all its boxes."""
