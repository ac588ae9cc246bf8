import { events } from "fetch-event-stream"
import { readAgain } from "../again.mjs"

export default (task) =>
  readAgain(async (answer, note) => {
    for await (const { id, data } of events(answer)) {
      if (data === undefined) continue
      note(String(id))
      if (task.take(id, data)) return true
    }
  }, task)
