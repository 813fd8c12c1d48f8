"""Detection transformers: D-FINE, DEIMv2, RT-DETRv2, RF-DETR."""
