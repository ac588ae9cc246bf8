"""The public contract of the api: resources and paths, as clients see them."""
