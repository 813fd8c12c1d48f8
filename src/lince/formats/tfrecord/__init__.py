"""TFRecord files of the TensorFlow Object Detection API."""
