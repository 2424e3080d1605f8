// Server is the little web site that weather.slop talks to. It listens on this machine only:
//
//	go run ./examples/server
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"log"
	"net/http"
	"sync"
	"time"
)

func main() {
	port := flag.Int("port", 8700, "the port to listen on")
	flag.Parse()
	addr := fmt.Sprintf("127.0.0.1:%d", *port)
	server := &http.Server{Addr: addr, Handler: site(), ReadHeaderTimeout: 5 * time.Second}
	log.Printf("weather at http://%s/weather?city=Lisbon", addr)
	log.Fatal(server.ListenAndServe())
}

// site answers GET /weather?city=NAME, POST /reports and GET /reports.
func site() http.Handler {
	var (
		mu      sync.Mutex
		reports = []json.RawMessage{}
	)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /weather", func(w http.ResponseWriter, r *http.Request) {
		city := r.URL.Query().Get("city")
		if city == "" {
			answer(w, http.StatusBadRequest, map[string]any{"problem": "which city? ask for /weather?city=Lisbon"})
			return
		}
		answer(w, http.StatusOK, weather(city))
	})
	mux.HandleFunc("POST /reports", func(w http.ResponseWriter, r *http.Request) {
		var report json.RawMessage
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&report); err != nil {
			answer(w, http.StatusBadRequest, map[string]any{"problem": "a report is JSON: " + err.Error()})
			return
		}
		mu.Lock()
		reports = append(reports, report)
		id := len(reports)
		mu.Unlock()
		log.Printf("report %d: %s", id, report)
		answer(w, http.StatusCreated, map[string]any{"id": id})
	})
	mux.HandleFunc("GET /reports", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		all := append([]json.RawMessage{}, reports...)
		mu.Unlock()
		answer(w, http.StatusOK, all)
	})
	return mux
}

// weather invents a sky and a temperature that stay the same for a city, whatever the day.
func weather(city string) map[string]any {
	h := fnv.New32a()
	h.Write([]byte(city))
	n := int(h.Sum32() % 1000)
	skies := []string{"clear", "cloudy", "a light rain", "fog", "a strong wind"}
	return map[string]any{"city": city, "sky": skies[n%len(skies)], "celsius": n%35 - 5}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Printf("answer: %v", err)
	}
}
