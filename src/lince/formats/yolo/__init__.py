"""YOLO text files with a dataset YAML."""
