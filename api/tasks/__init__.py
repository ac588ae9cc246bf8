"""Tasks as clients see them: submission, status, cancel, results, track search, previews."""
