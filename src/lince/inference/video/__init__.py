"""Videos and cameras: frames in, what is on them out, followed over time, counted, drawn and kept."""
