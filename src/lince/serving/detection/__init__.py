"""Object detection in the HTTP API: records and corrections."""
