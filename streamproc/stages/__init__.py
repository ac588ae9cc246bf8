"""From a picture to targets: perception, tracking, assembling, checkpoints."""
