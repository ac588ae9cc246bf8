// node run.mjs LIBRARY: follow the stream of $STREAM_URL to its end with one library, and print
// every event that it delivers as a line of JSON. With $STAY the library is not closed at [DONE].
import { writeSync } from "node:fs"

const print = (what) => writeSync(1, `${JSON.stringify(what)}\n`)
const stay = Boolean(process.env.STAY)

const end = (note) => {
  if (note) print({ note })
  process.exit(0)
}

// What waits to connect anew does not keep a program alive with every library.
setInterval(() => {}, 60_000)

await (await import(`./drivers/${process.argv[2]}.mjs`)).default({
  url: process.env.STREAM_URL,
  base: process.env.BASE_URL,
  path: process.env.STREAM_PATH,
  key: process.env.FRAMEWIRE_KEY,
  // Take an event; true: it was the last one, close.
  take: (id, data) => {
    print({ id: String(id ?? ""), data })
    return data === "[DONE]" && !stay
  },
  note: (text) => print({ note: text }),
  ended: () => end("ended"),
})
