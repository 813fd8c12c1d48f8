"""Options and output of image classification on the command line."""
