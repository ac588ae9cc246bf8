"""The one way to S3: its client, what its failures mean, and what it has to be able to do."""
