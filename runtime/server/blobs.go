package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/upload"
	"github.com/slopstudios/slop/runtime/wire"
)

// maxBlob is how many bytes a file may have that is uploaded.
const maxBlob = 64 << 20

func (s *Server) blobRoutes() []route {
	return []route{
		{method: "POST", path: Root + "/blobs", role: auth.Operator, id: "uploadBlob", handle: s.uploadBlob, body: maxBlob, streams: true},
	}
}

// uploadBlob keeps bytes that inputs may name. They are forgotten when no run has used them for a day.
func (s *Server) uploadBlob(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "name")
	if q.err != nil {
		return q.err
	}
	name := q.text("name")
	if _, params, err := mime.ParseMediaType(r.Header.Get("Content-Disposition")); err == nil && name == "" {
		name = params["filename"]
	}
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	if name == "" {
		name = "file"
	}
	if nameFault(name, func(c rune) bool { return c == '@' || titled(c) }) != "" {
		return problem("E_INVALID", "that is no name of a file", Fault{"/name", "at most 200 letters that can be seen"})
	}
	kind := mediaType(r)
	if kind == "" || kind == "application/x-www-form-urlencoded" { // what curl says when nobody says anything
		kind = "application/octet-stream"
	}
	if strings.HasPrefix(kind, "multipart/") {
		return problem("E_MEDIA_TYPE", "send the bytes of one file as they are (curl --data-binary @file)")
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return bodyError(err)
	}
	var f types.FileValue
	for range maxSaves {
		if f, err = upload.Keep(r.Context(), s.config.Store, auth.From(r.Context()).Tenant, name, kind, data); !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	if err != nil {
		return stored(err)
	}
	return send(w, http.StatusCreated, wire.Plain(f))
}

// blob reads bytes, and makes sure that they are the ones that were put away.
func (s *Server) blob(ctx context.Context, hash string) ([]byte, error) {
	data, err := s.config.Store.GetBlob(ctx, hash)
	if errors.Is(err, store.ErrNotFound) {
		return nil, problem("E_NOT_FOUND", "the bytes of "+hash+" are gone")
	}
	if err != nil {
		return nil, stored(err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != hash {
		return nil, store.ErrCorrupt
	}
	return data, nil
}

// withFiles puts uploaded files where a type wants files and a value names them by their hash.
func (s *Server) withFiles(ctx context.Context, t types.Type, v any, pointer string) (any, []Fault, error) {
	switch t.Kind {
	case types.File:
		named, ok := v.(map[string]any)
		hash, text := named["sha256"].(string)
		if !ok || !text {
			if v == nil {
				return nil, nil, nil
			}
			return v, []Fault{{pointer, `a file is {"sha256": …}, as POST ` + Root + `/blobs answers`}}, nil
		}
		f, err := upload.Get(ctx, s.config.Store, auth.From(ctx).Tenant, hash)
		if errors.Is(err, store.ErrNotFound) {
			return v, []Fault{{pointer + "/sha256", "no such file was uploaded in the last day; POST it to " + Root + "/blobs"}}, nil
		}
		if err != nil {
			return nil, nil, stored(err)
		}
		for key, x := range named {
			name, ok := x.(string)
			switch {
			case key == "name" && ok && nameFault(name, titled) == "":
				f.Name = name
			case key != "sha256" && key != "name" && key != "size" && key != "type":
				return v, []Fault{{pointer + "/" + pointerPart(key), "a file has sha256 and, if it is to have another, name"}}, nil
			}
		}
		if f.Size == 0 {
			f.Data = []byte{}
		}
		return f, nil, nil
	case types.List:
		list, ok := v.([]any)
		if !ok {
			return v, nil, nil
		}
		var faults []Fault
		for i := range list {
			x, wrong, err := s.withFiles(ctx, t.Item(), list[i], pointer+"/"+strconv.Itoa(i))
			if err != nil {
				return nil, nil, err
			}
			list[i], faults = x, append(faults, wrong...)
		}
		return list, faults, nil
	case types.Record:
		record, ok := v.(map[string]any)
		if !ok {
			return v, nil, nil
		}
		var faults []Fault
		for _, field := range t.Fields {
			if _, there := record[field.Name]; !there {
				continue
			}
			x, wrong, err := s.withFiles(ctx, field.Type, record[field.Name], pointer+"/"+pointerPart(field.Name))
			if err != nil {
				return nil, nil, err
			}
			record[field.Name], faults = x, append(faults, wrong...)
		}
		return record, faults, nil
	}
	return v, nil, nil
}
