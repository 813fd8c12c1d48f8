"""The studio: a local web application in which people label photos, together, without losing anything."""
