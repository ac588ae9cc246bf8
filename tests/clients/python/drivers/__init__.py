"""One module for each library: the least that its user has to write."""
