"""An independent oracle: the conformance suite of Durable Streams against Framewire's log.

`python -m tests.conformance` starts a stack of its own, mounts that protocol over it and runs the
npm suite. Nothing of this is in the wheel: streams that anybody may create and append to exist
in a checkout only.

`streams` decides what an append is answered with, `payload` puts messages into chunks and takes
them out again, `backend` writes records as a worker does and reads through the public api,
`mount` is the foreign protocol over HTTP.
"""
