import EventSource from "eventsource-2"
import { followAgain } from "../again.mjs"

export default (task) => {
  // It keeps the data of an event that was cut and puts the next one's behind it, a line for each.
  const take = (id, data) => task.take(id, data.slice(data.lastIndexOf("\n") + 1))
  followAgain((url) => new EventSource(url), { ...task, take })
}
