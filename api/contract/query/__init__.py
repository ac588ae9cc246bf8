"""The query language of lists: terms, their text, and the fields of tasks and of tracks."""
