// Command clients follows the stream of $STREAM_URL to its end with the library that its argument
// names, and prints every event that the library delivers as a line of JSON. With $STAY the library
// is not closed at [DONE].
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

type task struct {
	url  string
	stay bool
}

// take an event; true: it was the last one, close.
func (t task) take(id, data string) bool {
	t.print(map[string]string{"id": id, "data": data})
	return data == "[DONE]" && !t.stay
}

func (t task) note(text any) {
	t.print(map[string]string{"note": fmt.Sprint(text)})
}

func (t task) print(what map[string]string) {
	line, err := json.Marshal(what)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(append(line, '\n'))
}

func main() {
	follow := map[string]func(task){
		"launchdarkly": launchdarkly,
		"r3labs":       r3labs,
		"go-sse":       goSSE,
	}[os.Args[1]]
	t := task{os.Getenv("STREAM_URL"), os.Getenv("STAY") != ""}
	follow(t)
	t.note("ended")
}
