import { EventSource } from "extended-eventsource"
import { followAgain } from "../again.mjs"

export default (task) => followAgain((url) => new EventSource(url, { retry: 500 }), task)
