"""What is in the image, and whether somebody knows of a fault in it: `make audit`."""
