import { createRequire } from "node:module"

// Written for browsers.
globalThis.window = globalThis
globalThis.document = { addEventListener() {}, removeEventListener() {}, hidden: false }
const { fetchEventSource } = createRequire(import.meta.url)("@microsoft/fetch-event-source")

export default async ({ url, take, ended }) => {
  const abort = new AbortController()
  let done = false
  await fetchEventSource(url, {
    signal: abort.signal,
    openWhenHidden: true,
    onmessage: ({ id, data }) => {
      if (data) done ||= data === "[DONE]"
      if (data && take(id, data)) abort.abort()
    },
    // It takes a body that ends for the stream's end: whatever is thrown here makes it ask again.
    onclose: () => {
      if (!done) throw new Error("ended before [DONE]")
    },
    onerror: () => 200,
  })
  ended()
}
