"""Files of the terminal client: what a person writes, and what the console keeps."""
