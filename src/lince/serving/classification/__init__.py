"""Image classification in the HTTP API."""
