"""What the suite adds to pytest: marks by fixtures, the order of files, what was skipped."""
