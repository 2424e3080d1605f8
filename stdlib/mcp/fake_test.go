package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// fake is a server that runs as a process, and does not always behave.
func fake(role string) {
	switch role {
	case "asks": // in the older manner
		var calls atomic.Int32
		s := asking(&calls)
		s.AddReceivingMiddleware(old)
		_ = s.Run(context.Background(), &sdk.StdioTransport{})
	case "greets":
		fmt.Println("Welcome to this server!")
		fmt.Println(`{"not": "closed"`)
		_ = tools().Run(context.Background(), &sdk.StdioTransport{})
	default:
		scripted(role)
	}
}

// old refuses what the newest revision begins with.
func old(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, r sdk.Request) (sdk.Result, error) {
		if method == "server/discover" {
			return nil, fmt.Errorf("unknown method")
		}
		return next(ctx, method, r)
	}
}

// scripted answers line by line, as few as it can, and misbehaves as role says when its tool is called.
func scripted(role string) {
	if role == "slow start" {
		time.Sleep(300 * time.Millisecond)
	}
	if role == "no start" {
		fmt.Fprintln(os.Stderr, "cannot bind, the key is "+os.Getenv("FAKE_TOKEN"))
		os.Exit(3)
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			if role == "deaf" {
				select {} // it does not end with its standard input
			}
			return
		}
		var m struct {
			ID     json.RawMessage
			Method string
		}
		if json.Unmarshal([]byte(line), &m) != nil || m.ID == nil {
			continue
		}
		answer := func(result string) { fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", m.ID, result) }
		switch m.Method {
		case "server/discover":
			if role != "mute" { // an old server that does not answer to what it does not know
				fmt.Printf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"what?"}}`+"\n", m.ID)
			}
		case "initialize":
			answer(`{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"scripted","version":"0"}}`)
		case "tools/list":
			answer(`{"tools":[{"name":"go","inputSchema":{"type":"object","properties":{}}},{"name":"well","inputSchema":{"type":"object","properties":{}}}]}`)
		case "tools/call":
			if strings.Contains(line, `"well"`) {
				answer(`{"content":[{"type":"text","text":"well"}]}`)
				continue
			}
			switch role {
			case "exit":
				os.Exit(7)
			case "crash":
				fmt.Fprintln(os.Stderr, "panic: the key is "+os.Getenv("FAKE_TOKEN"))
				_ = exec.Command("kill", "-9", fmt.Sprint(os.Getpid())).Run()
				select {}
			case "hang", "deaf":
				continue
			case "garbage":
				fmt.Println("\x00\xff not JSON at all")
				fmt.Println(`{"jsonrpc": "2.0", "id":`)
				answer(`{"content":[{"type":"text","text":"after all"}]}`)
			case "flood":
				_, _ = io.WriteString(os.Stdout, `{"jsonrpc":"2.0","result":"`)
				chunk := strings.Repeat("x", 1<<20)
				for {
					if _, err := io.WriteString(os.Stdout, chunk); err != nil {
						return
					}
				}
			case "wrong":
				answer(`{"content":"no list"}`)
			default:
				answer(`{"content":[{"type":"text","text":"done"}]}`)
			}
		case "ping":
			answer(`{}`)
		default:
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"what?"}}`+"\n", m.ID)
		}
	}
}
