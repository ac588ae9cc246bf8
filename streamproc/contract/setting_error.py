"""The one error for a setting that a process cannot use."""


class SettingError(ValueError):
    """A variable, or a file that it names, is missing or cannot be used.

    The message names the variable or the file, never its value: values may hold secrets.
    """
