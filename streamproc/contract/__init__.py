"""What streamproc writes and others read: records, log bytes, S3 keys, tables, names.

Imports nothing but the standard library, msgspec and crc32c, so that any process may read it.
"""
