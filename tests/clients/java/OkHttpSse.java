import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;
import okhttp3.sse.EventSource;
import okhttp3.sse.EventSourceListener;
import okhttp3.sse.EventSources;

/** It follows one answer: who wants the whole log asks again. */
final class OkHttpSse extends EventSourceListener {
    private final Task task;
    private CountDownLatch over = new CountDownLatch(1);
    private String last = "";
    private boolean done = false;

    private OkHttpSse(Task task) {
        this.task = task;
    }

    static void follow(Task task) throws InterruptedException {
        OkHttpClient client = new OkHttpClient.Builder().build();
        OkHttpSse listener = new OkHttpSse(task);
        while (!listener.done) {
            Request.Builder request = new Request.Builder().url(task.url());
            if (!listener.last.isEmpty()) {
                request.header("Last-Event-ID", listener.last);
            }
            listener.over = new CountDownLatch(1);
            EventSources.createFactory(client).newEventSource(request.build(), listener);
            listener.over.await();
            if (!listener.done) {
                task.note("asked again");
                TimeUnit.MILLISECONDS.sleep(200);
            }
        }
    }

    @Override
    public void onEvent(EventSource source, String id, String type, String data) {
        last = id == null ? last : id;
        if (task.take(id, data)) {
            done = true;
            source.cancel();
            over.countDown();
        }
    }

    @Override
    public void onClosed(EventSource source) {
        over.countDown();
    }

    @Override
    public void onFailure(EventSource source, Throwable error, Response answer) {
        done |= answer != null && answer.code() == 204;
        over.countDown();
    }
}
