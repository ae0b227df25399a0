// Command socketio uses github.com/zishang520/socket.io/clients/socket/v3, which resumes its socket as the official
// client of JavaScript does. It follows one user until its session ends, and prints what happens, one line each.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/zishang520/socket.io/clients/socket/v3"
	"github.com/zishang520/socket.io/v3/pkg/types"
)

func main() {
	options := socket.DefaultOptions()
	options.SetTransports(types.NewSet(socket.WebSocket))
	options.SetAuth(map[string]any{"token": os.Getenv("TOKEN")})
	options.SetTLSClientConfig(&tls.Config{RootCAs: authorities(os.Getenv("CA"))})
	options.SetAutoConnect(false)
	options.SetReconnectionDelay(100)
	options.SetReconnectionDelayMax(500)
	client, err := socket.Connect(os.Getenv("GATEWAY"), options)
	if err != nil {
		panic(err)
	}
	follow(client)
	client.Connect()
	select {}
}

func follow(client *socket.Socket) {
	on := func(event string, listener func(args ...any)) {
		if err := client.On(types.EventName(event), listener); err != nil {
			panic(err)
		}
	}
	on("connect", func(...any) {
		fmt.Println("connected")
		client.EmitWithAck("account:list", map[string]any{})(func(answer []any, err error) {
			if err == nil {
				fmt.Println("ack", answer[0].(map[string]any)["success"])
			}
		})
	})
	on("account:status_changed", func(args ...any) {
		fmt.Println("event", args[0].(map[string]any)["metadata"].(map[string]any)["errorMessage"])
	})
	on("security:session_expired", func(args ...any) {
		fmt.Println("expired", args[0].(map[string]any)["reason"])
	})
	on("disconnect", func(args ...any) {
		fmt.Println("disconnected", args[0])
		if args[0] == "io server disconnect" {
			client.Connect()
		}
	})
	on("connect_error", func(args ...any) {
		// A refusal by Postern carries data; a link that is down does not.
		var refusal *types.ExtendedError
		if err, ok := args[0].(error); ok && errors.As(err, &refusal) {
			fmt.Println("refused", refusal.Data.(map[string]any)["code"])
			os.Exit(0)
		}
	})
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
