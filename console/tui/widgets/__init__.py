"""Widgets of the console, one to a file. They draw what they are given and post messages."""
