package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/cmd/slop/config"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every mistake is placed on the key it is about and, where one is near, names the key that was meant.
func TestMistakes(t *testing.T) {
	tests := []struct{ name, text, at, message, label string }{
		{"unknown key", "[agents.writer]\nuse = \"claude\"\nmodle = \"opus\"\n", "3:1", "unknown key `modle` in [agents.writer]", "did you mean `model`?"},
		{"unknown table", "[agnets.writer]\n", "1:2", "unknown key `agnets`", "did you mean `agents`?"},
		{"wrong kind", "[agents.w]\nlimit = \"four\"\n", "2:1", "`limit` must be a whole number from 1", ""},
		{"price", "[agents.w]\nprice = {input = 3, outptu = 15}\n", "2:21", "unknown key `outptu` in [agents.w.price]", "did you mean `output`?"},
		{"price half", "[agents.w]\nprice = {input = 3}\n", "2:1", "`price` needs both input and output, in dollars per million tokens", ""},
		{"rate", "[agents.w]\nrate = \"60 per minute\"\n", "2:1", "`rate` must be a number of calls per second or minute", "such as \"60/m\""},
		{"key for name", "[agents.w]\napi_key_env = \"sk-123\"\n", "2:1", "`api_key_env` names the environment variable that holds the key", "the name of the variable, not the key"},
		{"dotted", "agents.w.modle = \"x\"\n", "1:1", "unknown key `modle` in [agents.w]", "did you mean `model`?"},
		{"secret", "[secrets]\ntoken = \"abc\"\n", "2:1", "secret `token` is read from a place: write token = {env = \"NAME\"} or token = {file = \"path\"}", ""},
		{"url", "[agents.w]\nbase_url = \"localhost:8080\"\n", "2:1", "`base_url` must begin with http:// or https:// and name a host", ""},
		{"password", "[agents.w]\nbase_url = \"http://me:hunter22@host/v1\"\n", "2:1", "a name and password do not belong in `base_url`", "name the variable that holds the key: api_key_env"},
		{"query", "[agents.w]\nbase_url = \"http://host/v1?version=1\"\n", "2:1", "`base_url` ends before the ? or #: the path of each request is put behind it", ""},
		{"name", "[agents.my-agent]\n", "1:2", "`my-agent` cannot be the name of an agent: use letters, digits and _, a letter first", ""},
		{"mcp", "[mcp.git]\ncomand = [\"x\"]\n", "2:1", "unknown key `comand` in [mcp.git]", "did you mean `command`?"},
		{"mcp without a way", "[mcp.git]\ntrust = true\n", "1:2", "an MCP server has a `command` or a `url`, and not both", ""},
		{"mcp header", "[mcp.git]\nurl = \"https://host/mcp\"\nheaders = {Authorization = \"Bearer abc\"}\n", "3:1", "`headers` names environment variables", "the name of the variable, not its value"},
		{"mcp effect", "[mcp.git]\ncommand = [\"x\"]\neffects = {push = \"write\"}\n", "3:12", "the effect of a tool is \"read\", \"do\" or \"think\"", ""},
		{"mcp token of a program", "[mcp.git]\ncommand = [\"x\"]\ntoken_env = \"T\"\n", "3:1", "`token_env` is for a server with a `url`", ""},
		{"publish", "[publish]\nreview = \"review\"\n", "2:1", "`review` is a script of the project: review = \"flows/review.slop\"", ""},
		{"store", "[store]\nurl = \"http://host\"\n", "2:1", "`url` must be the address of a Redis: redis://host:6379, rediss:// with TLS, redis+sentinel://, redis+cluster://", ""},
		{"store's password", "[store]\nurl = \"redis://me:hunter22@host\"\n", "2:1", "a name and password do not belong in `url`", "put the whole address into a variable, and name that: url_env"},
		{"address for name", "[store]\nurl_env = \"redis://me:hunter22@host\"\n", "2:1", "`url_env` names the environment variable that holds the address", "the name of the variable, not the address"},
		{"two stores", "[store]\nurl = \"redis://host\"\nurl_env = \"A\"\n", "3:1", "`url` and `url_env` both say where runs are kept: choose one", ""},
		{"no store", "[store]\nprefix = \"p\"\n", "1:2", "`prefix` and `durability` are about a server: say which, with `url` or `url_env`", ""},
		{"durability", "[store]\nurl = \"redis://host\"\ndurability = \"strickt\"\n", "3:1", "`durability` is \"strict\", or is left out", ""},
		{"lease", "[store]\nlease = 15\n", "2:1", "`lease` must be a text in quotes", ""},
		{"listen", "[server]\nlisten = \"7070\"\n", "2:1", "`listen` is an address and a port: \"127.0.0.1:7070\"", ""},
		{"host", "[server]\nhosts = [\"slop.example.com:443\"]\n", "2:1", "`hosts` lists names without a port: [\"slop.example.com\"]", ""},
		{"origin", "[server]\norigins = [\"https://a.example/x\"]\n", "2:1", "`origins` lists where web pages come from, without a path: [\"https://app.example.com\"]", ""},
		{"proxy", "[server]\nproxies = [\"proxy\"]\n", "2:1", "`proxies` lists addresses or ranges of them: [\"10.0.0.0/8\", \"127.0.0.1\"]", ""},
		{"oidc", "[server.oidc]\nissuer = \"https://a.example\"\n", "1:2", "[server.oidc] needs an issuer, and the audience that its tokens are made for", ""},
		{"oidc's roles", "[server.oidc]\nroles = {boss = [\"a\"]}\n", "2:10", "unknown key `boss` in [server.oidc.roles]", ""},
		{"server", "[server]\nlisen = \"127.0.0.1:1\"\n", "2:1", "unknown key `lisen` in [server]", "did you mean `listen`?"},
		{"run", "[run]\ntimeout = \"10 minutes\"\n", "2:1", "\"10 minutes\" is not a duration such as 30s, 5m, 2h or 7d", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Read(write(t, filepath.Join(t.TempDir(), config.Name), tt.text))
			var e *config.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want a placed error", err)
			}
			at := e.File.Pos(e.Span.Start)
			if got := strings.TrimPrefix(e.Error(), at.File+":"); got != tt.at+": "+tt.message {
				t.Errorf("got  %s\nwant %s: %s", got, tt.at, tt.message)
			}
			if e.Label != tt.label {
				t.Errorf("label %q, want %q", e.Label, tt.label)
			}
		})
	}
}

func TestNotTOML(t *testing.T) {
	_, err := config.Read(write(t, filepath.Join(t.TempDir(), config.Name), "[agents.w]\nmodel = opus\n"))
	var e *config.Error
	if !errors.As(err, &e) || e.File.Pos(e.Span.Start).Line != 2 {
		t.Fatalf("got %v, want an error on line 2", err)
	}
}

// The project's file is found upward; its agents replace the user's as a whole.
func TestLayers(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "home", config.Name), "[agents.a]\nuse = \"claude\"\nmodel = \"opus\"\nsystem = \"mine\"\n[agents.b]\nuse=\"ollama\"\n[run]\nmax_parallel = 2\ntimeout = \"1h\"\n")
	write(t, filepath.Join(dir, "p", config.Name), "[agents.a]\nuse = \"openai\"\n[run]\nmax_parallel = 4\n")
	if err := os.MkdirAll(filepath.Join(dir, "p", "deep", "er"), 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(filepath.Join(dir, "p", "deep", "er"), config.Places{Config: filepath.Join(dir, "home")})
	if err != nil {
		t.Fatal(err)
	}
	if a := c.Agents["a"]; a.Use != "openai" || a.Model != "" || a.System != "" {
		t.Errorf("agent a is mixed of two files: %+v", a)
	}
	if c.Agents["b"].Use != "ollama" || c.Run.MaxParallel != 4 || c.Run.Timeout != "1h" {
		t.Errorf("layers: %+v %+v", c.Agents["b"], c.Run)
	}
}

// A project that names a server replaces what the user says of one as a whole, and has no say in how long runs are kept.
func TestLayersOfTheStore(t *testing.T) {
	dir := t.TempDir()
	places := config.Places{Config: filepath.Join(dir, "home")}
	load := func(project string) (*config.Config, error) {
		write(t, filepath.Join(dir, "p", config.Name), project)
		return config.Load(filepath.Join(dir, "p"), places)
	}
	write(t, filepath.Join(dir, "home", config.Name), "[store]\nurl_env = \"MINE\"\nprefix = \"me\"\nlease = \"5s\"\nkeep = \"30d\"\n")
	c, err := load("[run]\ncolor = \"never\"\n")
	if err != nil || c.Store.URLEnv != "MINE" || c.Store.Prefix != "me" || c.Store.Lease != 5*time.Second || c.Keep != "30d" {
		t.Errorf("the user's: %+v, keep %q, %v", c.Store, c.Keep, err)
	}
	c, err = load("[store]\nurl = \"redis://host\"\n")
	if err != nil || c.Store.URL != "redis://host" || c.Store.URLEnv != "" || c.Store.Prefix != "" || c.Store.Lease != 5*time.Second || c.Store.File != c.Project {
		t.Errorf("the project's: %+v, %v", c.Store, err)
	}
	c, err = load("[store]\nlease = \"1m\"\n")
	if err != nil || c.Store.URLEnv != "MINE" || c.Store.Lease != time.Minute || c.Store.File != c.User {
		t.Errorf("a lease alone: %+v, %v", c.Store, err)
	}
	var e *config.Error
	if _, err = load("[store]\nkeep = \"1s\"\n"); !errors.As(err, &e) || e.Message != "a project does not remove the runs of others" || e.File.Pos(e.Span.Start).Line != 2 {
		t.Errorf("a project that removes runs: %v", err)
	}
}

// What reaches the machine, a key or a secret needs trust; the rest does not.
func TestAsks(t *testing.T) {
	tests := []struct {
		text string
		asks []string
	}{
		{"[agents.w]\nuse = \"claude\"\nmodel = \"opus\"\n", nil},
		{"[agents.l]\nuse = \"ollama\"\nbase_url = \"http://localhost:1/v1\"\n", nil},
		{"[mcp.git]\ncommand = [\"npx\", \"git\"]\nenv = [\"TOKEN\"]\n", []string{"MCP server git: runs npx git", "MCP server git: lets it see TOKEN"}},
		{"[mcp.wiki]\nurl = \"https://wiki.example/mcp\"\ntoken_env = \"T\"\n", []string{"MCP server wiki: sends what scripts give to its tools to https://wiki.example/mcp", "MCP server wiki: sends T there"}},
		{"[agents.l]\nuse = \"openai\"\nbase_url = \"http://evil.example/v1\"\n", []string{"agent l: sends OPENAI_API_KEY to http://evil.example/v1"}},
		{"[agents.l]\nuse = \"ollama\"\nbase_url = \"http://e.example/v1\"\napi_key_env = \"GH\"\n", []string{"agent l: sends GH to http://e.example/v1"}},
		{"[agents.http]\nprivate = false\ntimeout = \"1m\"\nmax_redirects = 0\n", nil},
		{"[agents.http]\nprivate = true\n", []string{"agent http: may reach private networks, also where redirects lead"}},
		{"[agents.s]\nuse = \"shell\"\n", []string{"agent s: runs commands on this machine"}},
		{"[agents.c]\nuse = \"claude\"\ntools = [\"Bash\"]\n", []string{"agent c: lets the model use tools on this machine (Bash)"}},
		{"[agents.o]\nuse = \"ollama\"\ntools = [\"github.search\", \"files.*\"]\n", []string{"agent o: lets the model use tools of MCP servers (github.search, files.*)"}},
		{"[agents.c]\nuse = \"claude\"\npermissions = \"ask\"\nsettings = [\"user\", \"project\"]\n", []string{"agent c: lets the model use tools on this machine, and asks people first", "agent c: has the claude program take its user and project settings, whose hooks run commands"}},
		{"[agents.o]\nuse = \"openai\"\napi_key_env = \"GH\"\n", []string{"agent o: sends GH to the service behind openai"}},
		{"[store]\nurl = \"redis://evil.example\"\n", []string{"keeps runs on redis://evil.example"}},
		{"[store]\nurl_env = \"A\"\nprefix = \"b\"\n", []string{"keeps runs on the server that A names"}},
		{"[store]\nlease = \"20s\"\n", nil},
		{"[server]\nlisten = \"127.0.0.1:1\"\nauth = true\nhosts = [\"a\"]\n", nil},
		{"[server]\nlisten = \"0.0.0.0:1\"\norigins = [\"https://a.example\"]\nproxies = [\"10.0.0.1\"]\n", []string{"serves other machines at 0.0.0.0:1", "lets web pages of https://a.example call the server", "believes what 10.0.0.1 says of the addresses of callers"}},
		{"[server.oidc]\nissuer = \"https://a.example\"\naudience = \"s\"\n", []string{"lets in whom https://a.example vouches for"}},
		{"[secrets]\nk = {env = \"AWS_KEY\"}\n", []string{"secret k: reads the environment variable AWS_KEY"}},
	}
	for _, tt := range tests {
		f, err := config.Read(write(t, filepath.Join(t.TempDir(), config.Name), tt.text))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(f.Asks, "\n") != strings.Join(tt.asks, "\n") {
			t.Errorf("%s\nasks %q, want %q", tt.text, f.Asks, tt.asks)
		}
	}
}

// Trust holds for a path and a text: a change asks again.
func TestTrust(t *testing.T) {
	dir := t.TempDir()
	places := config.Places{State: filepath.Join(dir, "state")}
	path := write(t, filepath.Join(dir, "p", config.Name), "[agents.s]\nuse = \"shell\"\n")
	read := func() *config.File {
		f, err := config.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	elsewhere := filepath.Join(dir, "elsewhere")
	if places.Trusted(read(), elsewhere) {
		t.Error("a file seen for the first time is trusted")
	}
	if !places.Trusted(read(), filepath.Join(dir, "p")) {
		t.Error("my own file in the folder I stand in is not trusted")
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if places.Trusted(read(), filepath.Join(dir, "p")) {
		t.Error("a file that anybody can write is trusted")
	}
	if err := places.Remember(read()); err != nil {
		t.Fatal(err)
	}
	if !places.Trusted(read(), elsewhere) {
		t.Error("trust is not remembered")
	}
	if info, err := os.Stat(filepath.Join(dir, "state", "trusted.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("trusted.json: %v %v", info.Mode(), err)
	}
	write(t, path, "[agents.s]\nuse = \"shell\"\nlimit = 2\n")
	if places.Trusted(read(), elsewhere) {
		t.Error("a changed file is still trusted")
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "key"), "from the file\n")
	write(t, filepath.Join(dir, config.Name), "[secrets]\na = {file = \"key\"}\nb = {env = \"OTHER\"}\nd = {file = \"gone\"}\n")
	c, err := config.Load(dir, config.Places{Config: dir + "/none"})
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"OTHER": "other", "c": "exact", "C": "upper", "E": "upper only", "b": "not this"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	for name, want := range map[string]string{"a": "from the file", "b": "other", "c": "exact", "e": "upper only"} {
		if got, err := c.Value(name, lookup); err != nil || got != want {
			t.Errorf("secret %s = %q, %v; want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]string{"d": "is not there", "f": "export F"} {
		if _, err := c.Value(name, lookup); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("secret %s: %v, want %q in it", name, err, want)
		}
	}
}

func TestPlaces(t *testing.T) {
	env := map[string]string{"HOME": "/h"}
	get := func(name string) string { return env[name] }
	if p := config.UserPlaces(get); p.Config != "/h/.config/slop" || p.State != "/h/.local/state/slop" {
		t.Errorf("defaults: %+v", p)
	}
	env["XDG_CONFIG_HOME"], env["XDG_STATE_HOME"] = "/c", "relative"
	if p := config.UserPlaces(get); p.Config != "/c/slop" || p.State != "/h/.local/state/slop" {
		t.Errorf("xdg: %+v", p)
	}
	env["SLOP_HOME"] = "/s"
	if p := config.UserPlaces(get); p.Config != "/s" || p.State != "/s/state" {
		t.Errorf("SLOP_HOME: %+v", p)
	}
	for _, home := range []string{"", "relative"} {
		p := config.UserPlaces(func(name string) string { return map[string]string{"HOME": home}[name] })
		if p != (config.Places{}) {
			t.Errorf("with HOME=%q: %+v, want none", home, p)
		}
	}
}

// Without a home nothing in the folder one stands in counts as the user's own: it may be anybody's.
func TestNoHome(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{config.Name, ".config/slop/" + config.Name} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("[agents.sh]\nuse = \"shell\"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := t.TempDir()
	c, err := config.Load(elsewhere, config.Places{})
	if err != nil || c.User != nil || len(c.Agents) != 0 {
		t.Errorf("Load without places: %+v, %v", c, err)
	}
	c, err = config.Load(".", config.Places{})
	if err != nil || c.User != nil || c.Project == nil {
		t.Fatalf("Load without places: %+v, %v", c, err)
	}
	if (config.Places{}).Trusted(c.Project, elsewhere) {
		t.Error("without a state folder a file is trusted")
	}
	if err := (config.Places{}).Remember(c.Project); err == nil || !strings.Contains(err.Error(), "HOME") {
		t.Errorf("Remember without a state folder: %v", err)
	}
}

// What may be a key by mistake is not shown, and what messages are about is.
func TestKeysAreNotShown(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), config.Name), `
[agents.a]
use = "openai"
api_key_env = "sk-ant-very-secret"
model = "m1"
`)
	_, err := config.Read(path)
	var e *config.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if strings.Contains(e.File.Text, "secret") || !strings.Contains(e.File.Text, `api_key_env = "******************"`) || !strings.Contains(e.File.Text, `model = "m1"`) {
		t.Errorf("messages show\n%s", e.File.Text)
	}
	if at := e.File.Pos(e.Span.Start); at.Line != 4 {
		t.Errorf("the mistake is shown at %v", at)
	}
	_, err = config.Read(write(t, path, "[agents.a]\nuse = \"openai\"\nbase_url = \"http://me:hunter22@host/v1\"\n"))
	if !errors.As(err, &e) || strings.Contains(e.File.Text, "hunter22") {
		t.Errorf("messages show the password of an address: %v", err)
	}
	_, err = config.Read(write(t, path, "[store]\nurl = \"redis://me:hunter22@host\"\n"))
	if !errors.As(err, &e) || strings.Contains(e.File.Text, "hunter22") {
		t.Errorf("messages show the password of a store: %v", err)
	}
}
