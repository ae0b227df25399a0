// The official client for Java and Android. Follows one user until its session ends, and prints what happens, one line each.

import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Socket;
import io.socket.engineio.client.transports.WebSocket;
import java.util.Map;
import okhttp3.OkHttpClient;
import org.json.JSONObject;

public class SocketIo {
    public static void main(String[] args) throws Exception {
        IO.Options options = new IO.Options();
        options.transports = new String[] {WebSocket.NAME};
        options.auth = Map.of("token", System.getenv("TOKEN"));
        options.reconnectionDelay = 100;
        options.reconnectionDelayMax = 500;
        OkHttpClient http = Common.http();
        options.webSocketFactory = http;
        options.callFactory = http;
        follow(IO.socket(System.getenv("GATEWAY"), options));
    }

    static void follow(Socket socket) {
        socket.on(Socket.EVENT_CONNECT, none -> {
            Common.say("connected");
            Ack answered = answer -> Common.say("ack", ((JSONObject) answer[0]).opt("success"));
            socket.emit("account:list", new JSONObject(), answered);
        });
        socket.on("account:status_changed", event -> {
            JSONObject metadata = ((JSONObject) event[0]).optJSONObject("metadata");
            Common.say("event", metadata.opt("errorMessage"));
        });
        socket.on("security:session_expired", event -> Common.say("expired", ((JSONObject) event[0]).opt("reason")));
        socket.on(Socket.EVENT_DISCONNECT, reason -> {
            Common.say("disconnected", reason[0]);
            if ("io server disconnect".equals(reason[0])) {
                socket.connect();
            }
        });
        socket.on(Socket.EVENT_CONNECT_ERROR, error -> {
            // A refusal by Postern is JSON with a code; a link that is down is an exception.
            if (error[0] instanceof JSONObject) {
                Common.say("refused", ((JSONObject) error[0]).optJSONObject("data").opt("code"));
                System.exit(0);
            }
        });
        socket.connect();
    }
}
