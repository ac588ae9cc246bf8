"""From bytes to frames with PyAV: containers, decoding, seeking, sampling. Runs in the sandbox."""
