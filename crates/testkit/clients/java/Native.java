// A plain WebSocket of OkHttp, which resumes. Follows one user until its session ends, and prints what
// happens, one line each.

import java.util.HashMap;
import java.util.Map;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;
import okhttp3.WebSocket;
import okhttp3.WebSocketListener;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

public class Native extends WebSocketListener {
    private final OkHttpClient http;
    private final Request request;
    private String resumeToken;
    private String offset;
    private boolean live;
    private boolean ended;

    Native(OkHttpClient http) {
        this.http = http;
        this.request = new Request.Builder()
                .url(System.getenv("GATEWAY") + "/ws")
                .header("Sec-WebSocket-Protocol", "postern.v1.json")
                .build();
    }

    public static void main(String[] args) throws Exception {
        new Native(Common.http()).connect();
    }

    private void connect() {
        http.newWebSocket(request, this);
    }

    @Override
    public void onOpen(WebSocket socket, Response response) {
        Map<String, Object> data = new HashMap<>(Map.of("token", System.getenv("TOKEN")));
        if (resumeToken != null) {
            data.put("resume", Map.of("resumeToken", resumeToken, "offset", offset));
        }
        socket.send(new JSONObject(Map.of("event", "auth", "data", new JSONObject(data))).toString());
    }

    @Override
    public void onMessage(WebSocket socket, String text) {
        try {
            JSONArray frames = text.startsWith("[") ? new JSONArray(text) : new JSONArray().put(new JSONObject(text));
            for (int index = 0; index < frames.length(); index++) {
                handle(socket, frames.getJSONObject(index));
            }
        } catch (JSONException error) {
            throw new IllegalStateException(error);
        }
    }

    private void handle(WebSocket socket, JSONObject frame) throws JSONException {
        JSONObject data = frame.getJSONObject("data");
        switch (frame.getString("event")) {
            case "ready":
                live = true;
                Common.say("connected");
                if (!data.getBoolean("recovered")) {
                    resumeToken = data.getString("resumeToken");
                    offset = data.getString("offset");
                }
                socket.send(new JSONObject(Map.of("event", "account:list", "id", "1")).toString());
                break;
            case "account:list_response":
                Common.say("ack", data.getBoolean("success"));
                break;
            case "account:status_changed":
                Common.say("event", data.getJSONObject("metadata").getString("errorMessage"));
                break;
            case "security:session_expired":
                Common.say("expired", data.getString("reason"));
                break;
            case "error":
                Common.say("refused", data.getString("error"));
                break;
            default:
                break;
        }
        if (!frame.isNull("offset")) {
            offset = frame.getString("offset");
        }
    }

    @Override
    public void onClosing(WebSocket socket, int code, String reason) {
        // OkHttp leaves the answer to a close to the application.
        socket.close(1000, null);
        if (ended) {
            System.exit(0);
        }
        ended = code == 4401 || code == 4403;
        left(code);
    }

    @Override
    public void onFailure(WebSocket socket, Throwable error, Response response) {
        left("network");
    }

    private void left(Object reason) {
        if (live) {
            Common.say("disconnected", reason);
        }
        live = false;
        connect();
    }
}
