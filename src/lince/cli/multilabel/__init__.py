"""Options and output of multilabel classification on the command line."""
