"""What notebooks show of models of semantic segmentation."""
