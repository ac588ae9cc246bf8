"""What the tabs show, as plain data: folds and forms without I/O and without Textual."""
