"""What clients of the api see: resources, paths, and the stored form of a request."""
