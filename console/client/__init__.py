"""Client of a Framewire api: calls as values, sent by a sync or an async client.

`calls` defines the requests and the types of their answers. `sync_client.Client` and
`async_client.AsyncClient` send calls and follow logs. `log_stream` counts a stream's bytes and
resumes it after a cut, without I/O.
"""
