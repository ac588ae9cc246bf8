"""Contract of streamproc: the records, log bytes, S3 keys, tables and names that others read.

Imports only the standard library, msgspec, crc32c and cryptography, so any process can import it.
"""
