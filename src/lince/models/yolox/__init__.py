"""YOLOX: network, label assignment and loss."""
