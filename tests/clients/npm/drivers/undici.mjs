import { EventSource } from "undici"
import { followAgain } from "../again.mjs"

export default (task) => followAgain((url) => new EventSource(url), task)
