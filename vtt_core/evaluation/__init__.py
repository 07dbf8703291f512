"""Numbers of a model on labelled query images, from its answers alone: no torch, no images."""
