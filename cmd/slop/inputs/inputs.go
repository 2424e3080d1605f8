// Package inputs turns what a user typed into the values a flow asks for (spec/language.md, "Inputs from outside").
package inputs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
)

// maxFile bounds what is read into memory as one input.
const maxFile = 256 << 20

// Missing says which inputs nobody gave. All of them are named at once.
type Missing struct{ Inputs []plan.Input }

func (m *Missing) Error() string {
	names := make([]string, len(m.Inputs))
	for i, in := range m.Inputs {
		names[i] = in.Name
	}
	if len(names) == 1 {
		return "missing input: " + names[0]
	}
	return "missing inputs: " + strings.Join(names, ", ")
}

// Values is what the user gave, by name.
type Values map[string]any

// Read takes the `name=value` arguments in order and the object of --input, where the arguments win, and gives a value for every name that was
// given. It reports every mistake, not only the first, and Missing when nothing else is wrong.
func Read(want []plan.Input, args []string, object map[string]any) (Values, error) {
	got := Values{}
	var errs []error
	for name, v := range object {
		in, ok := lookup(want, name)
		if !ok {
			errs = append(errs, unknown(want, name))
			continue
		}
		v, err := fromJSON(in.Type, v)
		if err == nil {
			v, err = Check(in, v)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("input %s: %w", name, err))
			continue
		}
		got[name] = v
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) }) // an object has no order
	texts := map[string][]string{}
	var order []string
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		if !ok {
			errs = append(errs, fmt.Errorf("-i %s: write -i name=value", arg))
			continue
		}
		if _, seen := texts[name]; !seen {
			order = append(order, name)
		}
		texts[name] = append(texts[name], text)
	}
	for _, name := range order {
		in, ok := lookup(want, name)
		if !ok {
			errs = append(errs, unknown(want, name))
			continue
		}
		if len(texts[name]) > 1 && !isFiles(in.Type) {
			errs = append(errs, fmt.Errorf("input %s is given twice", name))
			continue
		}
		v, err := Parse(in, texts[name]...)
		if err != nil {
			errs = append(errs, fmt.Errorf("input %s: %w", name, err))
			continue
		}
		got[name] = v
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	var missing []plan.Input
	for _, in := range want {
		if _, ok := got[in.Name]; !ok && in.Required {
			missing = append(missing, in)
		}
	}
	if len(missing) > 0 {
		return got, &Missing{missing}
	}
	return got, nil
}

func lookup(want []plan.Input, name string) (plan.Input, bool) {
	for _, in := range want {
		if in.Name == name {
			return in, true
		}
	}
	return plan.Input{}, false
}

func unknown(want []plan.Input, name string) error {
	names := make([]string, len(want))
	for i, in := range want {
		names[i] = in.Name
	}
	if len(names) == 0 {
		return fmt.Errorf("this script has no input named %s: it asks for nothing", name)
	}
	if near, ok := diag.Nearest(name, names); ok {
		return fmt.Errorf("this script has no input named %s, did you mean %s?", name, near)
	}
	return fmt.Errorf("this script has no input named %s; it has: %s", name, strings.Join(names, ", "))
}

// Parse reads the texts typed for one input: one, or several for a list of files.
func Parse(in plan.Input, texts ...string) (any, error) {
	v, err := parse(in.Type, texts)
	if err != nil {
		return nil, err
	}
	return Check(in, v)
}

func parse(t types.Type, texts []string) (any, error) {
	if isFiles(t) {
		return files(texts)
	}
	text := texts[0]
	if t.Kind == types.File {
		return file(text)
	}
	if path, ok := strings.CutPrefix(text, "@"); ok {
		body, err := readFile(path)
		if err != nil {
			return nil, err
		}
		text = string(body)
	}
	trimmed := strings.TrimSpace(text)
	switch t.Kind {
	case types.String, types.Enum:
		return text, nil
	case types.Int:
		n, err := strconv.Atoi(trimmed)
		if err != nil {
			return nil, fmt.Errorf("%s is not a whole number", quoted(text))
		}
		return n, nil
	case types.Float:
		f, err := strconv.ParseFloat(trimmed, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%s is not a number", quoted(text))
		}
		return f, nil
	case types.Bool:
		switch trimmed {
		case "true", "yes":
			return true, nil
		case "false", "no":
			return false, nil
		}
		return nil, fmt.Errorf("%s is not true or false", quoted(text))
	}
	v, err := eval.FromJSON([]byte(text))
	if err != nil {
		if t.Kind == types.Any {
			return nil, fmt.Errorf("%s is not JSON: put a text in quotes, like '\"%s\"'", quoted(text), clip(text, 20))
		}
		return nil, fmt.Errorf("%s is not JSON for %s", quoted(text), t)
	}
	return fromJSON(t, v)
}

// Check reads v as the input's type and holds it against its musts.
func Check(in plan.Input, v any) (any, error) {
	v, problems := eval.Read(in.Type, v)
	if len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "; "))
	}
	if v == nil {
		return nil, nil
	}
	for _, m := range in.Musts {
		if problem := eval.Holds(m, map[string]any{in.Name: v}); problem != "" {
			return nil, errors.New(problem)
		}
	}
	return v, nil
}

// Object reads the file of --input, or standard input for "-": one JSON object.
func Object(path string, stdin io.Reader) (map[string]any, error) {
	var text []byte
	var err error
	if path == "-" {
		text, err = io.ReadAll(io.LimitReader(stdin, maxFile))
		path = "standard input"
	} else {
		text, err = readFile(path)
	}
	if err != nil {
		if name, _, ok := strings.Cut(path, "="); ok && errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(name, "/.") {
			return nil, fmt.Errorf("--input takes a file of JSON; for a single value write -i %s", path)
		}
		return nil, err
	}
	v, err := eval.FromJSON(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s must hold one JSON object with a field for each input", path)
	}
	return object, nil
}

// fromJSON turns the paths that stand where the type says file into files.
func fromJSON(t types.Type, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	switch t.Kind {
	case types.File:
		if path, ok := v.(string); ok {
			return file(path)
		}
	case types.List:
		list, ok := v.([]any)
		if !ok || t.Elem == nil {
			return v, nil
		}
		for i := range list {
			e, err := fromJSON(*t.Elem, list[i])
			if err != nil {
				return nil, err
			}
			list[i] = e
		}
	case types.Record:
		object, ok := v.(map[string]any)
		if !ok {
			return v, nil
		}
		for _, f := range t.Fields {
			if e, ok := object[f.Name]; ok {
				e, err := fromJSON(f.Type, e)
				if err != nil {
					return nil, err
				}
				object[f.Name] = e
			}
		}
	}
	return v, nil
}

func isFiles(t types.Type) bool {
	return t.Kind == types.List && t.Elem != nil && t.Elem.Kind == types.File
}

// files reads every text as a path; one with * ? or [ names all files that match it, in order, since a shell does not expand it behind `name=`.
func files(texts []string) (any, error) {
	var paths []string
	for _, text := range texts {
		if strings.HasPrefix(strings.TrimSpace(text), "[") {
			if v, err := eval.FromJSON([]byte(text)); err == nil {
				list, _ := v.([]any)
				for _, e := range list {
					s, ok := e.(string)
					if !ok {
						return nil, fmt.Errorf("%s must be a list of paths", quoted(text))
					}
					paths = append(paths, s)
				}
				continue
			}
		}
		if _, err := os.Stat(text); err == nil || !strings.ContainsAny(text, "*?[") {
			paths = append(paths, text)
			continue
		}
		match, err := filepath.Glob(text)
		if err != nil || len(match) == 0 {
			return nil, fmt.Errorf("no file matches %s", text)
		}
		slices.Sort(match)
		for _, m := range match {
			if s, err := os.Stat(m); err == nil && s.Mode().IsRegular() {
				paths = append(paths, m)
			}
		}
	}
	list := make([]any, 0, len(paths))
	for _, path := range paths {
		f, err := file(path)
		if err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

// file reads the file at path whole.
func file(path string) (any, error) {
	body, err := readFile(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return types.FileValue{
		Name: filepath.Base(path), Size: int64(len(body)), Type: mediaType(path, body), SHA256: hex.EncodeToString(sum[:]), Data: body,
	}, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, plainError(err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder, not a file", path)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s is larger than %d MB", path, maxFile>>20)
	}
	body, err := os.ReadFile(path)
	return body, plainError(err)
}

// plainError says "notes.txt: no such file or directory" instead of "stat notes.txt: …".
func plainError(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return err
}

func mediaType(path string, body []byte) string {
	if t := textTypes[strings.ToLower(filepath.Ext(path))]; t != "" {
		return t
	}
	if t := mime.TypeByExtension(filepath.Ext(path)); t != "" {
		return t
	}
	return http.DetectContentType(body)
}

// textTypes are the endings that systems disagree about.
var textTypes = map[string]string{
	".md": "text/markdown", ".txt": "text/plain", ".csv": "text/csv", ".json": "application/json", ".slop": "text/plain", ".toml": "application/toml",
	".yaml": "application/yaml", ".yml": "application/yaml", ".log": "text/plain",
}

func quoted(s string) string { return strconv.Quote(clip(s, 60)) }

func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n]) + "…"
}
