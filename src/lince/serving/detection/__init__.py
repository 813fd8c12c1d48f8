"""Object detection in the HTTP API."""
