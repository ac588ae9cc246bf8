"""The client of a Framewire api: calls as values, sent by a sync or an async client.

`calls` says what is asked and what type answers; `sync.Client` and `aio.AsyncClient` send a call
and follow a log; `log` counts a stream's bytes and resumes it after a cut, without any I/O.
"""
