import polyfill from "event-source-polyfill"
import { followAgain } from "../again.mjs"

// It sends its last id as a query parameter: the one that is meant has another name here.
const options = { lastEventIdQueryParameterName: "offset" }

export default (task) =>
  followAgain((url) => new polyfill.EventSourcePolyfill(url, options), task)
