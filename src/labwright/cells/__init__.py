"""The cells recipe: instance segmentation of time-lapse images."""
