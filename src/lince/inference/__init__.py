"""Uses finished models: a network file and its card in, predictions and pictures out. No torch here, ever."""
