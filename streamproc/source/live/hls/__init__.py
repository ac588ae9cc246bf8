"""HTTP Live Streaming: playlists and the order of segments are sans-IO, requests are apart."""
