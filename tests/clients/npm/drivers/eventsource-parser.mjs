import { EventSourceParserStream } from "eventsource-parser/stream"
import { readAgain } from "../again.mjs"

export default (task) =>
  readAgain(async (answer, note) => {
    const events = answer.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream())
    for await (const { id, data } of events) {
      note(id)
      if (task.take(id, data)) return true
    }
  }, task)
