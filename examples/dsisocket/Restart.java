// Restarts the primary from Java 11 or later, with nothing but the JDK: java Restart.java

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

public class Restart {
    /** One connection to dsi: one command per line, one line of reply. */
    static class DsiSocket implements AutoCloseable {
        private final Socket socket;
        private final BufferedReader replies;
        private final PrintWriter commands;

        DsiSocket(String address, String token) throws IOException {
            int colon = address.lastIndexOf(':');
            String host = address.substring(0, colon).replaceAll("^\\[|\\]$", "");
            socket = new Socket(host, Integer.parseInt(address.substring(colon + 1)));
            replies = new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
            commands = new PrintWriter(socket.getOutputStream(), true, StandardCharsets.UTF_8);
            if (token != null) {
                send("{\"auth\": \"" + token + "\"}");
            }
        }

        /** Sends one command, and waits until it is done. */
        String send(String command) throws IOException {
            commands.println(command);
            String reply = replies.readLine();
            if (reply == null || !reply.startsWith("{\"status_code\": 0,")) {
                throw new IOException("dsi could not do it: " + reply);
            }
            return reply;
        }

        @Override
        public void close() throws IOException {
            socket.close();
        }
    }

    public static void main(String[] arguments) throws IOException {
        try (DsiSocket dsi = new DsiSocket(System.getenv("DSI_SOCKET"), System.getenv("DSI_SOCKET_TOKEN"))) {
            System.out.println(dsi.send("{\"on_mongod\": {\"exec\": \"du -sh data/dbs\"}}"));
            System.out.println(dsi.send("{\"restart_mongodb\": {\"nodes\": [\"rs0:primary\"]}}"));
        }
    }
}
