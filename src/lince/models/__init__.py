"""Networks: registries of architectures, construction, pretrained weights, and their cost."""
