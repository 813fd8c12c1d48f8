"""Export of multilabel models: outputs to compare, and postprocessing inside a graph."""
