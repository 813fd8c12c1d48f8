"""HTTP server for predictions, with limits on time, memory and request size."""
