"""Tabs and modal dialogs of the console."""
