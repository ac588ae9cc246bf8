"""View models of the tabs: folds and forms as plain data, without I/O and without Textual."""
