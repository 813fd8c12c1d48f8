"""Image classification in the HTTP API: records and corrections."""
