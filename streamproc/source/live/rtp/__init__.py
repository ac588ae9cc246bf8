"""RTP without I/O (RFC 3550): packets to coded pictures, sender reports, the order of packets."""
