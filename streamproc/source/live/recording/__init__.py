"""Recordings of live sources: pieces of coded pictures, and the containers that hold them."""
