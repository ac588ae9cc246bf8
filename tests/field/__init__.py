"""Videos as people have them, against a full decode by another libav than the product's.

`files` makes them, by PyAV and by hand; `oracle` decodes them with the ffmpeg that the package
imageio-ffmpeg carries. `pytest tests/field` is the short form; `python -m tests.field --files 500`
makes many more, from a seed.
"""
