"""The project of the studio: photos, classes and labels in one database, with a journal of every edit."""
