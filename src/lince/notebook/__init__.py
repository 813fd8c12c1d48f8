"""What notebooks show of datasets, runs and results: HTML with small pictures, without scripts and without stylesheets.

Nothing imports this package: the classes of what is shown name their functions here (``lince.display``). Colours are
those of the notebook around them, so that a light and a dark theme both can be read.
"""
