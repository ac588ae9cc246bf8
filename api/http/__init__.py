"""HTTP for every route: request bodies, pagination, access log, shutdown."""
