"""compose.yaml's services in real containers, against the embedded engines: `make containers`."""
