// An EventSource that gives up at a status other than 200, as the HTML standard says, is opened
// anew by its user, behind the last event it delivered. A later Last-Event-ID wins over `offset`.
export const followAgain = (open, { url, take, note, ended }) => {
  let last = "", done = false
  const start = () => {
    const source = open(last ? `${url}&offset=${last}` : url)
    source.onmessage = (event) => {
      last = event.lastEventId
      done ||= event.data === "[DONE]"
      if (take(event.lastEventId, event.data)) {
        source.close()
        ended()
      }
    }
    source.onerror = () => {
      if (source.readyState !== 2) return
      source.close()
      if (done) return ended()
      note("opened anew")
      setTimeout(start, 200)
    }
  }
  start()
}

// The same for a loop over one answer: `read` runs until the answer ends, or throws.
export const readAgain = async (read, { url, note, ended }) => {
  for (let last = "", at = "first"; at !== "end"; ) {
    if (at !== "first") {
      note("asked again")
      await new Promise((done) => setTimeout(done, 200))
    }
    at = "again"
    try {
      const headers = last ? { "Last-Event-ID": last } : {}
      const answer = await fetch(url, { headers })
      if (answer.status === 204) at = "end"
      else if (answer.ok && (await read(answer, (id) => (last = id)))) at = "end"
      else await answer.body?.cancel()
    } catch (error) {
      if (!(error instanceof TypeError) && error.name !== "AbortError") throw error
    }
  }
  ended()
}
