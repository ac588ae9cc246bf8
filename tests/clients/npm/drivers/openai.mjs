import OpenAI from "openai"

// Chunks of the stream are no chat completions: only the transport and its parser are used. It
// keeps ids and [DONE] to itself, so a call that broke off is repeated, and what is known skipped.
export default async ({ base, path, key, take, note, ended }) => {
  const client = new OpenAI({ baseURL: base, apiKey: key, maxRetries: 5 })
  let known = 0, finished = false
  while (!finished) {
    let n = 0
    try {
      for await (const chunk of await client.get(path, { stream: true })) {
        if (++n <= known) continue
        known = n
        finished = Boolean(chunk.finish_reason)
        take("", JSON.stringify(chunk))
      }
    } catch (error) {
      note(`called again: ${error.message}`)
      await new Promise((done) => setTimeout(done, 200))
    }
  }
  take("", "[DONE]")
  ended()
}
