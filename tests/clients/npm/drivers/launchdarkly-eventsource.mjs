import { EventSource } from "launchdarkly-eventsource"

export default ({ url, take, ended }) => {
  const source = new EventSource(url, { initialRetryDelayMillis: 200 })
  source.onmessage = (event) => {
    if (take(event.lastEventId, event.data)) {
      source.close()
      ended()
    }
  }
  source.onerror = () => {} // it asks again, but throws where nobody listens
  source.onclosed = () => ended()
}
