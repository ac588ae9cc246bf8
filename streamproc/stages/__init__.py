"""From a picture to targets: perception, tracking, and what a client is shown of them."""
