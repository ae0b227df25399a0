// Command native uses a plain WebSocket of github.com/coder/websocket, which resumes its socket. It follows one user
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
		ResumeToken string
		Offset      string
		Recovered   bool
		Success     bool
		Reason      string
		Error       string
		Metadata    struct{ ErrorMessage string }
	}
}

// resumeState is what this client sends to resume: its token, and the offset of the last event that it has handled.
type resumeState struct {
	ResumeToken string `json:"resumeToken"`
	Offset      string `json:"offset"`
}

func main() {
	ctx := context.Background()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities(os.Getenv("CA"))}}}
	var state *resumeState
	for ended := 0; ended < 2; time.Sleep(100 * time.Millisecond) {
		socket, _, err := websocket.Dial(ctx, os.Getenv("GATEWAY")+"/ws", &websocket.DialOptions{
			HTTPClient:   client,
			Subprotocols: []string{"postern.v1.json"},
		})
		if err != nil {
			continue
		}
		code := websocket.CloseStatus(follow(ctx, socket, &state))
		if ended == 0 {
			fmt.Println("disconnected", int(code))
		}
		if code == 4401 || code == 4403 {
			ended++
		}
	}
}

// follow authenticates, and handles frames until the socket ends.
func follow(ctx context.Context, socket *websocket.Conn, state **resumeState) error {
	socket.SetReadLimit(1 << 20)
	data := map[string]any{"token": os.Getenv("TOKEN")}
	if *state != nil {
		data["resume"] = *state
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
			if err := handle(ctx, socket, frame, state); err != nil {
				return err
			}
		}
	}
}

func handle(ctx context.Context, socket *websocket.Conn, frame frame, state **resumeState) error {
	data := frame.Data
	if frame.Offset != nil {
		(*state).Offset = *frame.Offset
	}
	switch frame.Event {
	case "ready":
		fmt.Println("connected")
		if !data.Recovered {
			*state = &resumeState{data.ResumeToken, data.Offset}
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
