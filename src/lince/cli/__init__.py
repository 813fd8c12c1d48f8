"""The command line: it speaks only to the facade, like any user, and is the only room that prints."""
