"""Hugging Face image folders: metadata.jsonl with classes or boxes."""
