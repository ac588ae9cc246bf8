"""The console's tabs and its modal screens."""
