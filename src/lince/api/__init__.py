"""The Python interface of lince: a module for each function that ``import lince`` offers, imported when it is used."""
