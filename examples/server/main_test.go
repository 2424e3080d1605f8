package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestSite(t *testing.T) {
	server := httptest.NewServer(site())
	defer server.Close()
	for _, c := range []struct {
		method, path, body string
		status             int
		field              string
	}{
		{"GET", "/weather?city=Lisbon", "", http.StatusOK, "celsius"},
		{"GET", "/weather", "", http.StatusBadRequest, "problem"},
		{"POST", "/reports", `{"lines":["a"]}`, http.StatusCreated, "id"},
		{"POST", "/reports", `{`, http.StatusBadRequest, "problem"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var answer map[string]any
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
		if _, ok := answer[c.field]; !ok || res.StatusCode != c.status {
			t.Errorf("%s %s: %d %v, want %d with %s", c.method, c.path, res.StatusCode, answer, c.status, c.field)
		}
	}
}

func TestTheWeatherOfACityStays(t *testing.T) {
	a, b := weather("Oslo"), weather("Oslo")
	if a["sky"] != b["sky"] || a["celsius"] != b["celsius"] {
		t.Errorf("Oslo has two weathers: %v and %v", a, b)
	}
}
