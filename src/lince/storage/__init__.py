"""Where files are: folders, zip archives and remote stores behind one interface."""
