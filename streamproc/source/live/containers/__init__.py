"""Containers of live sources that are not RTP: from bytes to coded pictures, sans-IO."""
