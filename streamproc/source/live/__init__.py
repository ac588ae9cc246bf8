"""Live sources: cameras by RTSP. The protocols are state machines without I/O."""
