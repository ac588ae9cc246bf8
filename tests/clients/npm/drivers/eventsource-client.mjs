import { createEventSource } from "eventsource-client"

export default async ({ url, take, ended }) => {
  const source = createEventSource({ url })
  for await (const { id, data } of source) {
    if (take(id, data)) break
  }
  source.close()
  ended()
}
