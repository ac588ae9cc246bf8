"""The whole service on S3 servers of other people, compared with the embedded one.

`servers` runs them, `trial` does what a stack does on each.
"""
