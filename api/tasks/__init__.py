"""Task services: submission, status, cancel, results, track search, previews."""
