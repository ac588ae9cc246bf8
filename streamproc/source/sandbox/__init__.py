"""What a decoder child gives up before it touches a video, by Linux's own means."""
