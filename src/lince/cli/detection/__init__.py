"""Options and output of object detection on the command line."""
