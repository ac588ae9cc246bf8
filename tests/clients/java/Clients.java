import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** Follows the stream of $STREAM_URL to its end with the library that its argument names. */
public class Clients {
    public static void main(String[] arguments) throws Exception {
        Task task = new Task(System.getenv("STREAM_URL"), !System.getenv("STAY").isEmpty());
        switch (arguments[0]) {
            case "okhttp-eventsource" -> OkHttpEventSource.follow(task);
            case "okhttp-sse" -> OkHttpSse.follow(task);
            case "jersey" -> JerseySse.follow(task);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        System.exit(0); // OkHttp's threads stay for a minute
    }
}

/** Where the stream is, and where its events go: a line of JSON each. */
record Task(String url, boolean stays) {
    private static final PrintStream OUT =
            new PrintStream(System.out, true, StandardCharsets.UTF_8);

    /** Takes an event; true: it was the last one, close. */
    boolean take(String id, String data) {
        OUT.println("{\"id\": " + quoted(id == null ? "" : id) + ", \"data\": " + quoted(data) + "}");
        return data.equals("[DONE]") && !stays;
    }

    void note(Object text) {
        OUT.println("{\"note\": " + quoted(String.valueOf(text)) + "}");
    }

    private static String quoted(String text) {
        StringBuilder found = new StringBuilder("\"");
        for (char letter : text.toCharArray()) {
            if (letter == '"' || letter == '\\') {
                found.append('\\').append(letter);
            } else if (letter < ' ') {
                found.append(String.format("\\u%04x", (int) letter));
            } else {
                found.append(letter);
            }
        }
        return found.append('"').toString();
    }
}
