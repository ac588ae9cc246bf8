package main

import (
	"errors"
	"time"

	"github.com/launchdarkly/eventsource"
)

func launchdarkly(t task) {
	stream, err := eventsource.SubscribeWithURL(t.url,
		eventsource.StreamOptionInitialRetry(200*time.Millisecond),
		eventsource.StreamOptionCanRetryFirstConnection(-1),
		eventsource.StreamOptionErrorHandler(func(err error) eventsource.StreamErrorHandlerResult {
			var refused eventsource.SubscriptionError
			return eventsource.StreamErrorHandlerResult{
				CloseNow: errors.As(err, &refused) && refused.Code == 204,
			}
		}),
	)
	if err != nil {
		t.note(err)
		return
	}
	for event := range stream.Events {
		if t.take(event.(eventsource.EventWithLastID).LastEventID(), event.Data()) {
			break
		}
	}
	stream.Close()
}
