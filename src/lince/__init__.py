"""lince: from your own photos to a working recogniser, on your own machine."""

from lince.version import __version__

__all__ = ["__version__"]
