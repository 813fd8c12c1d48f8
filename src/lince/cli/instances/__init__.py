"""Options and output of models that give each object a mask on the command line."""
