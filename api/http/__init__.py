"""HTTP shared by all routes: request bodies, pagination, access log, shutdown."""
