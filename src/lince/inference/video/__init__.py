"""Object detection on videos and cameras: read, detect, track, count, draw and save."""
