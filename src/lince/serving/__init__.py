"""The server: a model's answers over HTTP, within stated limits of time and memory."""
