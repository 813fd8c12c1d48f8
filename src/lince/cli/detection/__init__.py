"""The command line of object detection."""
