"""Export of tracks: where to, in which format, and the files themselves."""
