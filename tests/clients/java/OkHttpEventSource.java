import com.launchdarkly.eventsource.ErrorStrategy;
import com.launchdarkly.eventsource.EventSource;
import com.launchdarkly.eventsource.FaultEvent;
import com.launchdarkly.eventsource.MessageEvent;
import com.launchdarkly.eventsource.StreamEvent;
import com.launchdarkly.eventsource.StreamHttpErrorException;
import java.net.URI;
import java.util.concurrent.TimeUnit;

final class OkHttpEventSource {
    static void follow(Task task) {
        EventSource source = new EventSource.Builder(URI.create(task.url()))
                .errorStrategy(ErrorStrategy.alwaysContinue())
                .retryDelay(200, TimeUnit.MILLISECONDS)
                .retryDelayStrategy(
                        com.launchdarkly.eventsource.RetryDelayStrategy.defaultStrategy()
                                .maxDelay(1, TimeUnit.SECONDS))
                .build();
        for (StreamEvent event : source.anyEvents()) {
            if (event instanceof MessageEvent message
                    && task.take(message.getLastEventId(), message.getData())) {
                break;
            }
            if (event instanceof FaultEvent fault
                    && fault.getCause() instanceof StreamHttpErrorException refused
                    && refused.getCode() == 204) {
                break;
            }
        }
        source.close();
    }
}
