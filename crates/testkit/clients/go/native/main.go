// Command native uses a plain WebSocket of github.com/coder/websocket, which comes back to its place. It follows one user
// until its session ends, and prints what happens, one line each.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

type frame struct {
	Event  string
	Offset *string
	Data   struct {
		Session   string
		Offset    string
		Recovered bool
		Success   bool
		Reason    string
		Error     string
		Metadata  struct{ ErrorMessage string }
	}
}

// place is where this client is in the order of its user's events.
type place struct {
	Session string `json:"session"`
	Offset  string `json:"offset"`
}

func main() {
	ctx := context.Background()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities(os.Getenv("CA"))}}}
	var at *place
	for ended := 0; ended < 2; time.Sleep(100 * time.Millisecond) {
		socket, _, err := websocket.Dial(ctx, os.Getenv("GATEWAY")+"/ws", &websocket.DialOptions{
			HTTPClient:   client,
			Subprotocols: []string{"postern.v1.json"},
		})
		if err != nil {
			continue
		}
		code := websocket.CloseStatus(follow(ctx, socket, &at))
		if ended == 0 {
			fmt.Println("disconnected", int(code))
		}
		if code == 4401 || code == 4403 {
			ended++
		}
	}
}

// follow proves who it is, and handles frames until the socket ends.
func follow(ctx context.Context, socket *websocket.Conn, at **place) error {
	socket.SetReadLimit(1 << 20)
	data := map[string]any{"token": os.Getenv("TOKEN")}
	if *at != nil {
		data["resume"] = *at
	}
	if err := wsjson.Write(ctx, socket, map[string]any{"event": "auth", "data": data}); err != nil {
		return err
	}
	for {
		var message json.RawMessage
		if err := wsjson.Read(ctx, socket, &message); err != nil {
			return err
		}
		frames := []frame{{}}
		into := any(&frames[0])
		if message[0] == '[' {
			into = &frames
		}
		if err := json.Unmarshal(message, into); err != nil {
			return err
		}
		for _, frame := range frames {
			if err := handle(ctx, socket, frame, at); err != nil {
				return err
			}
		}
	}
}

func handle(ctx context.Context, socket *websocket.Conn, frame frame, at **place) error {
	data := frame.Data
	if frame.Offset != nil {
		(*at).Offset = *frame.Offset
	}
	switch frame.Event {
	case "ready":
		fmt.Println("connected")
		if !data.Recovered {
			*at = &place{data.Session, data.Offset}
		}
		return wsjson.Write(ctx, socket, map[string]any{"event": "account:list", "id": "1"})
	case "account:list_response":
		fmt.Println("ack", data.Success)
	case "account:status_changed":
		fmt.Println("event", data.Metadata.ErrorMessage)
	case "security:session_expired":
		fmt.Println("expired", data.Reason)
	case "error":
		fmt.Println("refused", data.Error)
	}
	return nil
}

func authorities(path string) *x509.CertPool {
	pem, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}
