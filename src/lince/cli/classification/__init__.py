"""The command line of image classification."""
