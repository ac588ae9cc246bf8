"""Widgets of the console. They draw the data that they receive, and post messages."""
