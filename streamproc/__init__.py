"""The stream processor: workers, archive, index, and the contract of the log."""
