import jakarta.ws.rs.client.Client;
import jakarta.ws.rs.client.ClientBuilder;
import jakarta.ws.rs.sse.InboundSseEvent;
import jakarta.ws.rs.sse.SseEventSource;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

final class JerseySse {
    private final Task task;
    private final CountDownLatch done = new CountDownLatch(1);
    private long last = 0;

    private JerseySse(Task task) {
        this.task = task;
    }

    static void follow(Task task) throws InterruptedException {
        Client client = ClientBuilder.newClient();
        JerseySse reader = new JerseySse(task);
        while (reader.done.getCount() > 0) {
            String url = task.url() + (reader.last > 0 ? "&offset=" + reader.last : "");
            CountDownLatch over = new CountDownLatch(1);
            try (SseEventSource source = SseEventSource.target(client.target(url))
                    .reconnectingEvery(200, TimeUnit.MILLISECONDS).build()) {
                source.register(reader::take, error -> over.countDown(), over::countDown);
                source.open();
                while (!reader.done.await(50, TimeUnit.MILLISECONDS) && over.getCount() > 0) {
                    continue;
                }
            }
            if (reader.done.getCount() > 0) {
                task.note("opened anew");
            }
        }
    }

    /** It delivers what a body ends with: an event is whole when its id is beyond the last one's. */
    private synchronized void take(InboundSseEvent event) {
        long id;
        try {
            id = Long.parseLong(String.valueOf(event.getId()));
        } catch (NumberFormatException cut) {
            return;
        }
        String data = event.readData();
        if (id <= last || data == null || done.getCount() == 0) {
            return;
        }
        last = id;
        if (task.take(event.getId(), data)) {
            done.countDown();
        }
    }
}
