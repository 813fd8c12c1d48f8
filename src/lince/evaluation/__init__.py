"""How good a model is, in figures that can be trusted: numpy only, so it runs where torch is absent.

Nothing is loaded here: whoever writes a percentage need not wait for what compares models.
"""
