"""The command line: a module for each command, which calls the function of the same name in ``lince``.

This is the only package that prints.
"""
