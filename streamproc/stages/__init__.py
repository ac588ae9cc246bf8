"""Processing stages from an image to targets: perception, tracking, output to clients."""
