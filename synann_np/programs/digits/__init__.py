"""From a photo to a digit: read it, make it look like MNIST, classify it."""
