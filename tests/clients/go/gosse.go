package main

import (
	"context"
	"net/http"
	"time"

	"github.com/tmaxmax/go-sse"
)

func goSSE(t task) {
	last, ended := "", false
	done, cancel := context.WithCancel(context.Background())
	client := sse.Client{Backoff: sse.Backoff{InitialInterval: 200 * time.Millisecond}}
	client.ResponseValidator = func(answer *http.Response) error {
		if answer.StatusCode == http.StatusNoContent {
			ended = true
		}
		return sse.DefaultValidator(answer)
	}
	for done.Err() == nil && !ended {
		request, err := http.NewRequestWithContext(done, http.MethodGet, t.url, http.NoBody)
		if err != nil {
			panic(err)
		}
		if last != "" {
			request.Header.Set("Last-Event-ID", last)
		}
		connection := client.NewConnection(request)
		connection.SubscribeToAll(func(event sse.Event) {
			last = event.LastEventID
			if t.take(event.LastEventID, event.Data) {
				cancel()
			}
		})
		if err := connection.Connect(); err != nil && done.Err() == nil && !ended {
			t.note(err) // a status other than 200 is final for it
			time.Sleep(200 * time.Millisecond)
		}
	}
}
