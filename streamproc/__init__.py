"""The stream processor: worker, archive and index roles, and the contract of the log."""
