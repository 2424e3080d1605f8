package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/atomicfile"
	"github.com/slopstudios/slop/runtime/wire"
)

// outFolder says where the files of a value go.
type outFolder struct {
	Out   string `short:"o" placeholder:"DIR" help:"Write the files in the value into a folder, under their names; it is made when it is not there."`
	place string `kong:"-"` // the same, whatever folder this process goes to
}

// find looks for what is wrong with the folder before anything runs, so that no run is made in vain.
func (o *outFolder) find() (err error) {
	o.place, err = findFolder("-o", o.Out)
	return err
}

// findFolder gives the place of the folder that a flag names, which need not be there yet; none when the flag is not given.
func findFolder(flag, folder string) (string, error) {
	if folder == "" {
		return "", nil
	}
	if info, err := os.Stat(folder); err == nil && !info.IsDir() {
		return "", usage("%s %s: that is a file; name a folder, which is made when it is not there", flag, folder)
	}
	place, err := filepath.Abs(folder)
	if err != nil {
		return "", usage("%s %s: %s", flag, folder, err)
	}
	return place, nil
}

// writeFiles writes every file of a value and gives the value with the paths they went to: instead of each file the record that stands for it in JSON,
// with path. A file of the same name from another time is replaced; two of one value are told apart by a number.
func (o outFolder) writeFiles(c *console, v any) (any, error) {
	w := fileWriter{folder: o, taken: map[string]string{}}
	out, err := w.put(v)
	for _, f := range w.written {
		fmt.Fprintf(c.err, "wrote %s (%s)\n", screen.OneLine(f.path, 300), size(f.size))
	}
	return out, err
}

type fileWriter struct {
	folder  outFolder
	taken   map[string]string // the hash of the file that has a name, by the name in lower case
	written []writtenFile
}

type writtenFile struct {
	path string
	size int64
}

func (w *fileWriter) put(v any) (_ any, err error) {
	switch v := v.(type) {
	case types.FileValue:
		return w.write(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			if out[i], err = w.put(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) { // so that the numbers behind equal names are the same each time
			if out[name], err = w.put(v[name]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

func (w *fileWriter) write(f types.FileValue) (any, error) {
	if f.Data == nil && f.Size > 0 {
		return nil, fmt.Errorf("the bytes of %s are not at hand", f.Name)
	}
	name, again := w.name(f)
	path := filepath.Join(w.folder.Out, name)
	if !again {
		if err := os.MkdirAll(w.folder.place, 0o777); err != nil {
			return nil, err
		}
		if err := atomicfile.Write(filepath.Join(w.folder.place, name), f.Data, 0o644); err != nil {
			return nil, err
		}
		w.written = append(w.written, writtenFile{path, f.Size})
	}
	record := wire.Plain(f).(map[string]any)
	record["path"] = path
	return record, nil
}

// name gives a file a name in the folder that no other of this value has. It is the same again for the same file.
func (w *fileWriter) name(f types.FileValue) (name string, again bool) {
	plain := fileName(f.Name)
	ext := filepath.Ext(plain)
	for n := 1; ; n++ {
		if name = plain; n > 1 {
			name = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(plain, ext), n, ext)
		}
		hash, ok := w.taken[strings.ToLower(name)]
		if !ok {
			w.taken[strings.ToLower(name)] = f.SHA256
			return name, false
		}
		if hash == f.SHA256 && hash != "" {
			return name, true
		}
	}
}

// fileName makes of a file's name, which may come from anywhere, one that stays in its folder and is visible there.
func fileName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || strings.ContainsRune(`:*?"<>|`, r) || unicode.In(r, unicode.Cf) {
			return '_'
		}
		return r
	}, name)
	name = strings.TrimRight(strings.TrimLeft(name, ". "), ". ")
	const longest = 120 // bytes, which file systems count
	if len(name) > longest {
		ext := filepath.Ext(name)
		if len(ext) > 20 {
			ext = ""
		}
		name = strings.ToValidUTF8(name[:longest-len(ext)], "") + ext
	}
	if name == "" {
		return "file"
	}
	return name
}
