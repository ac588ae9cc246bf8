"""Models: what there is, and how an image becomes detections, text and vectors."""
