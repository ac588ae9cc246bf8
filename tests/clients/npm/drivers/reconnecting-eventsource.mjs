import { EventSource } from "eventsource"
import ReconnectingEventSource from "reconnecting-eventsource"

// Where it opens anew it says its last id in a query parameter of another name, and it knows an id
// of events only that a listener of `addEventListener` heard.
class FromOffset extends EventSource {
  constructor(url, options) {
    super(String(url).replace(/([?&])lastEventId=/, "$1offset="), options)
  }
}

export default ({ url, take, ended }) => {
  const options = { eventSourceClass: FromOffset, max_retry_time: 500 }
  const source = new ReconnectingEventSource(url, options)
  source.addEventListener("message", (event) => {
    if (take(event.lastEventId, event.data)) {
      source.close()
      ended()
    }
  })
}
