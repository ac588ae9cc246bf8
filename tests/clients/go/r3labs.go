package main

import (
	"context"
	"strconv"
	"time"

	"github.com/r3labs/sse/v2"
	"gopkg.in/cenkalti/backoff.v1"
)

func r3labs(t task) {
	last := 0
	done, cancel := context.WithCancel(context.Background())
	client := sse.NewClient(t.url)
	client.ReconnectStrategy = backoff.NewConstantBackOff(200 * time.Millisecond)
	for done.Err() == nil {
		// It returns when a body ends, and dispatches what was cut: an event is whole when its id
		// is beyond the last one's. One without an id is given the last one's.
		err := client.SubscribeRawWithContext(done, func(event *sse.Event) {
			id, err := strconv.Atoi(string(event.ID))
			if err != nil || id <= last || len(event.Data) == 0 {
				return
			}
			last = id
			if t.take(string(event.ID), string(event.Data)) {
				cancel()
			}
		})
		if err != nil && done.Err() == nil {
			t.note(err)
		}
	}
}
