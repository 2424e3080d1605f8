package inputs_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/slopstudios/slop/cmd/slop/inputs"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
)

func of(k types.Kind) types.Type { return types.Type{Kind: k} }

var want = []plan.Input{
	{Name: "s", Type: of(types.String)},
	{Name: "i", Type: of(types.Int), Musts: []types.Must{{Expr: "i in 1..10", Else: "i must be 1 to 10"}}},
	{Name: "f", Type: of(types.Float)},
	{Name: "b", Type: of(types.Bool)},
	{Name: "e", Type: types.Type{Kind: types.Enum, Values: []string{"bug", "billing"}}},
	{Name: "l", Type: types.ListOf(of(types.String))},
	{Name: "r", Type: types.Type{Kind: types.Record, Fields: []types.Field{{Name: "n", Type: of(types.Int)}}}},
	{Name: "any", Type: of(types.Any)},
	{Name: "file", Type: of(types.File)},
	{Name: "files", Type: types.ListOf(of(types.File))},
}

func TestRead(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"a.txt": "aa", "b.txt": "b", "brief.md": "line\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := inputs.Read(want, []string{
		"s=it's = <raw> \n", "i=3", "f=2.5", "b=true", "e=bug", `l=["x","y"]`, `r={"n": 1, "more": 2}`, `any={"a":[1,2.0]}`, "file=a.txt", "files=*.txt",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"s": "it's = <raw> \n", "i": 3, "f": 2.5, "b": true, "e": "bug", "l": []any{"x", "y"}, "r": map[string]any{"n": 1},
		"any": map[string]any{"a": []any{1, 2.0}},
	} {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s = %#v, want %#v", name, got[name], want)
		}
	}
	f := got["file"].(types.FileValue)
	if f.Name != "a.txt" || f.Size != 2 || f.Type != "text/plain" || string(f.Data) != "aa" || len(f.SHA256) != 64 {
		t.Errorf("file = %+v", f)
	}
	if files := got["files"].([]any); len(files) != 2 || files[1].(types.FileValue).Name != "b.txt" {
		t.Errorf("files = %v", got["files"])
	}
	if got, err := inputs.Read(want, []string{"s=@brief.md"}, nil); err != nil || got["s"] != "line\n" {
		t.Errorf("@path = %q, %v", got["s"], err)
	}
	if got, err := inputs.Read(want, []string{"files=b.txt", "files=a.txt"}, nil); err != nil || len(got["files"].([]any)) != 2 {
		t.Errorf("files twice = %v, %v", got["files"], err)
	}
}

func TestMistakes(t *testing.T) {
	t.Chdir(t.TempDir())
	for arg, message := range map[string]string{
		"i=three":       `"three" is not a whole number`,
		"i=11":          "i must be 1 to 10",
		"f=NaN":         `"NaN" is not a number`,
		"b=maybe":       `"maybe" is not true or false`,
		"e=bugs":        `input e:`,
		"l=x":           "is not JSON for list of string",
		"any=x":         `put a text in quotes, like '"x"'`,
		"file=gone.txt": "gone.txt: no such file",
		"file=.":        ". is a folder",
		"files=*.csv":   "no file matches *.csv",
		"s":             "write -i name=value",
		"fil=a":         "no input named fil, did you mean file?",
	} {
		_, err := inputs.Read(want, []string{arg}, nil)
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("-i %s: %v\nwant %s", arg, err, message)
		}
	}
	_, err := inputs.Read(want, []string{"i=x", "zzz=1", "s=a", "s=b"}, map[string]any{"b": "yes"})
	for _, part := range []string{"input i:", "no input named zzz", "input s is given twice", "input b:"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("all mistakes at once: %v\nlacks %q", err, part)
		}
	}
}

// All that is missing is named at once; a default or an optional type is not missing.
func TestMissing(t *testing.T) {
	_, err := inputs.Read([]plan.Input{
		{Name: "a", Type: of(types.String), Required: true}, {Name: "b", Type: of(types.Int), Required: true},
		{Name: "c", Type: of(types.String), Default: json.RawMessage(`"x"`)},
	}, nil, nil)
	var missing *inputs.Missing
	if !errors.As(err, &missing) || err.Error() != "missing inputs: a, b" {
		t.Errorf("got %v", err)
	}
}

// Arguments win over the object; where the type says file, the object holds paths.
func TestObject(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("a.txt", []byte("aa"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "in.json")
	if err := os.WriteFile(path, []byte(`{"i": 3.0, "s": "object", "files": ["a.txt"]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	object, err := inputs.Object(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := inputs.Read(want, []string{"s=argument"}, object)
	if err != nil {
		t.Fatal(err)
	}
	if got["i"] != 3 || got["s"] != "argument" || got["files"].([]any)[0].(types.FileValue).Name != "a.txt" {
		t.Errorf("got %v", got)
	}
	for text, message := range map[string]string{"[1]": "must hold one JSON object", "{": "ends too early", `{"a":1} x`: "standard input"} {
		if _, err := inputs.Object("-", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v, want %q", text, err, message)
		}
	}
	if _, err := inputs.Object("topic=rain", nil); err == nil || !strings.Contains(err.Error(), "-i topic=rain") {
		t.Errorf("--input name=value: %v", err)
	}
}
