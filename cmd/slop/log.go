package main

import (
	"io"
	"log/slog"
	"time"
)

// logger writes what the engine has to say besides the facts of its runs, a line each; nil when nobody wants to hear it.
func (h *host) logger(w io.Writer) *slog.Logger {
	if w == nil {
		return nil
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		switch v := a.Value.Any().(type) {
		case string:
			a.Value = slog.StringValue(h.redact(v))
		case error:
			a.Value = slog.StringValue(h.redact(v.Error()))
		case time.Time:
			if a.Key == slog.TimeKey && len(groups) == 0 {
				a.Value = slog.StringValue(v.Format("2006-01-02T15:04:05.000"))
			}
		}
		return a
	}}))
}
