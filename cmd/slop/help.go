package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/slopstudios/slop/lang/diag"
)

type helpCmd struct {
	Topic string `arg:"" optional:"" help:"A command or a topic."`
	Verb  string `arg:"" optional:"" help:"The command of a group: slop help runs show."`
}

func (v *helpCmd) Run(c *console, k *kong.Kong) error {
	if v.Topic == "" {
		_, err := k.Parse([]string{"--help"})
		return err
	}
	for _, name := range commandNames(k) {
		if name != v.Topic {
			continue
		}
		words := []string{name}
		if v.Verb != "" {
			words = append(words, v.Verb)
		}
		if err := unknownCommand(k, words); err != nil {
			return err
		}
		_, err := k.Parse(append(words, "--help"))
		return err
	}
	topic := strings.ReplaceAll(strings.ToLower(v.Topic), "_", "-")
	for _, t := range topics {
		if t.name == topic {
			fmt.Fprint(c.out, strings.TrimLeft(t.text, "\n"))
			return nil
		}
	}
	known := append(commandNames(k), topicNames()...)
	if near, ok := diag.Nearest(v.Topic, known); ok {
		return usage("there is no help about %q, did you mean %q?", v.Topic, near)
	}
	return usage("there is no help about %q; there is about: %s", v.Topic, strings.Join(known, ", "))
}

func topicNames() []string {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.name
	}
	return names
}

var topics = []struct{ name, text string }{
	{"exit-codes", `
EXIT CODES

    0  all went well; check found at most warnings
    1  the run failed, or a test did
    2  the command line is wrong, or an input or slop.toml is
    3  the script has errors; fmt --check found a difference
    4  a key is missing or was not accepted
    5  a budget, or a limit of a service, is used up
    6  a person is needed and there is no terminal to ask on: the run waits, and
       slop answer and slop resume go on with it (--ephemeral: it has ended)
    7  a server, an agent or the folder where runs are kept cannot be reached
  124  the run took longer than its --timeout
  130  interrupted or cancelled; what was interrupted is kept: slop resume ID
`},
	{"json", `
JSON DEFINITIONS

  Workflows that are written in JSON run as they are, wherever a script can stand:

    slop run workflow.json          slop check workflow.json
    slop import workflow.json -o workflow.slop      the script that it is

  A step is {id, agentType, prompt, dependencies, …}. {{topic}} in a prompt is a
  value of the context, {{steps.ID.output}} the answer of a step, and a step waits
  for what it mentions. What stands in initialContext or context becomes an input
  of the script, so -i topic=rain changes it.

  A step whose condition is false is skipped: it has no answer, and what depends
  on it runs. One with continueOnError may fail. The outcome is {results, steps,
  failed}: the context in the end, the answers by the ids of the steps, and why
  steps failed.

  What is wrong is said of the JSON, and what has no meaning here is warned of.

    slop import --pattern map-reduce request.json

  reads a request to orchestrate: sequential, parallel, conditional, map-reduce,
  self-critique or discussion. All of it: spec/json.md.
`},
	{"environment", `
ENVIRONMENT

  Flags win over these, these over slop.toml.

  SLOP_HOME          folder of slop.toml and of the state; else the XDG folders:
                     $XDG_CONFIG_HOME/slop (~/.config/slop) and
                     $XDG_STATE_HOME/slop (~/.local/state/slop)
  SLOP_STATE         folder where runs are kept, as --state; else that of the state
  SLOP_STORE         address of a Redis that keeps runs instead: redis://host:6379,
                     rediss:// (TLS), redis+sentinel://, redis+cluster://
  SLOP_STORE_PREFIX  what its keys begin with: slop
  SLOP_DURABILITY    strict: refuse a Redis that could lose what it confirmed
  SLOP_KEEP          age at which slop run removes old runs, as --keep: 30d
  SLOP_LEASE         how long a process that is stopped, or on another machine, keeps
                     its runs from others when it no longer answers: 15s
  SLOP_LISTEN, SLOP_AUTH=1, SLOP_HOSTS, SLOP_ORIGINS, SLOP_PROXIES,
  SLOP_OIDC_ISSUER, SLOP_OIDC_AUDIENCE
                     of slop serve, as [server] in slop.toml; commas between several
  SLOP_TRUST=1       trust the project's slop.toml, as --trust does, for this once
  SLOP_MAX_PARALLEL  calls at a time, as --max-parallel
  SLOP_BUDGET        what a run may use, as --budget
  SLOP_TIMEOUT       how long a run may take, as --timeout
  SLOP_CACHE         what to do with kept answers, as --cache

  CI=1               plain lines instead of the live tree, and no questions
  NO_COLOR           no colours; CLICOLOR=0 too, CLICOLOR_FORCE=1 always; TERM=dumb
                     means neither colours nor the live tree
  ANTHROPIC_API_KEY  the key of claude when its program is not installed
  OPENAI_API_KEY, OPENAI_BASE_URL
                     the key and address of openai

  A script's  secret token  is read from the variable token, then TOKEN.
`},
	{"configuration", `
CONFIGURATION

  slop.toml is looked for beside the script and in every folder above it, then in
  the user's configuration folder (slop help environment). The project's agents
  and secrets replace the user's of the same name. An unknown key is an error.

    [agents.writer]
    use = "claude"            # or openai, ollama, http, shell, human, wait …
    model = "opus"
    system = "You write plainly."
    max_tokens = 2000
    limit = 4                 # calls at a time
    rate = "60/m"             # calls per s or m
    price = {input = 5, output = 25}     # dollars per million tokens

    [agents.local]
    use = "openai"            # any server that speaks its protocol
    base_url = "http://localhost:8080/v1"
    api_key_env = "LOCAL_KEY" # the variable's name, never the key

    tools = ["github.search"] # of MCP servers, which the model may use by itself:
    tool_rounds = 8           # it does what they do (slop help mcp)

    [agents.coder]
    use = "claude"
    prefer = "cli"            # or "api"
    tools = ["Read", "Edit"]  # with tools or a folder a model changes the world:
    folder = "."              # its calls run in written order
    permissions = "ask"       # people decide what tools does not allow; or "deny"
    settings = ["project"]    # of the claude program that count; none otherwise

    [agents.http]
    timeout = "5m"            # in all; first_byte_timeout = "60s" until it begins
    private = false           # reach the internet only

    [mcp.github]              # slop help mcp
    command = ["npx", "-y", "@modelcontextprotocol/server-github"]
    env = ["GITHUB_TOKEN"]

    [agents.mine]
    use = "program"           # speaks the protocol of agents, in any language:
    command = ["./my-agent"]  # slop agent test ./my-agent
    env = ["MY_KEY"]          # further variables that it may see

    [secrets]
    github = {env = "GH_TOKEN"}
    stripe = {file = "~/.keys/stripe"}

    [run]
    max_parallel = 8
    cache = "write"           # kept answers; or off, read, refresh
    budget = "$2"
    timeout = "10m"
    color = "auto"

    [store]                   # of the folder one stands in, or one above it
    url = "redis://host:6379" # a Redis that keeps runs; without a password
    url_env = "OUR_REDIS"     # or the variable that holds the whole address
    prefix = "slop"           # as SLOP_STORE_PREFIX; durability = "strict" and
    lease = "15s"             # lease likewise. SLOP_STORE and --state name another
    keep = "30d"              # place than all this. keep: in your own file only

    [server]                  # of slop serve
    listen = "127.0.0.1:7070" # another address than loopback needs tokens
    auth = true               # tokens on loopback too (slop token create)
    hosts = ["slop.example.com"]             # names it answers to; else any
    origins = ["https://app.example.com"]    # of web pages that may call it
    proxies = ["10.0.0.0/8"]  # believed about addresses (X-Forwarded-For)
    rate = "100/s"            # requests of a caller; address_rate of an address
    max_streams = 1000        # of a caller at a time; max_connections in all
    max_body = 4194304        # bytes of a request
    keep_audit = "400d"       # who changed what (slop audit)
    max_runs = 1000           # runs in memory at a time; max_queued wait in line

    [server.oidc]             # tokens of an OpenID Connect issuer count, too
    issuer = "https://login.example.com"
    audience = "slop"         # what they are made for
    role_claim = "realm_access.roles"        # roles
    roles = {operator = ["staff"], admin = ["slop-admins"]}
    tenant_claim = "org"      # else all are local; name_claim: sub

TRUST

  A slop.toml that names a shell, a program, tools, an MCP server, a secret, a
  store, where a key is sent, or whom a server lets in, counts only when you trust
  it. Yours in the folder you stand in is trusted. Another is asked about once on a
  terminal; elsewhere pass --trust (remembered until the file changes) or set
  SLOP_TRUST=1. Checking a script needs no trust, unless it calls a program that has
  not said yet what it can do.
`},
	{"mcp", `
MCP

  The tools of any server that speaks the Model Context Protocol are agents:
  github.search_code(query: "TODO"). Servers stand in slop.toml:

    [mcp.github]
    command = ["npx", "-y", "@modelcontextprotocol/server-github"]
    env = ["GITHUB_TOKEN"]    # variables it may see, by name
    allow = ["search_*"]      # tools that scripts may call; deny = [...] takes away
    trust = true              # believe what it says of its effects; else all is do
    effects = {search_code = "read"}     # goes before what it says
    timeout = "2m"            # of a call; start_timeout, limit, folder

    [mcp.wiki]
    url = "https://wiki.example.com/mcp"
    token_env = "WIKI_TOKEN"  # Authorization: Bearer; headers = {Name = "VARIABLE"}

  slop mcp list [SERVER…]     start the servers and list their tools anew
  slop mcp inspect github.search_code
  slop mcp call github.search_code query=TODO

  A model may use them by itself when slop.toml grants it some: tools = ["github.*"]
  under its table. With one that is do the model is do, too.

  A listing is kept, so that scripts are checked without a server. What is no name
  in a script becomes _: search-code is github.search_code.

  slop mcp serve offers flows as tools to others, such as Claude:

    claude mcp add slop -- slop mcp serve

  Published are the scripts in the folder flows, or those that slop.toml names:

    [publish]
    review = "flows/review.slop"

  Beside them are the tools run, status, list, answer, resume, cancel and check.
  Runs are kept: slop runs lists them. --listen 127.0.0.1:8090 serves by HTTP.
`},
	{"inputs", `
INPUTS

  slop run digest.slop -i topic="the sea" -i files='notes/*.md' --input more.json

  text, choice      as it is
  number, bool      3, 2.5, true
  list, record      as JSON: -i tags='["a","b"]'
  file              a path; for a list of files several, or a pattern
  @path             the text of a file: -i brief=@brief.md
  --input FILE      a JSON object with a field for each input; - is standard input.
                    -i wins over it.

  What is missing is asked for on a terminal; elsewhere all that is missing is named
  at once (exit 2).
`},
	{"events", `
EVENTS

  slop run x.slop --events ndjson prints one JSON object a line on standard output,
  instead of the value. The first is {"schemaVersion": 1, …} with the run's id, then
  come the facts of the run as they are recorded, with seq, at and kind: started,
  call_started, call_done, call_failed, call_ended, asked, answered, timer_fired, …
  The last fact is finished, with status, and value or error. Each names its run and
  its event: agent:workflow:started, :step:started, :step:completed, :step:failed,
  :asked, :answered, :paused, :resumed, :completed, :failed, :cancelled, … A server
  sends the same lines by WebSocket and SSE.

  Between them stand records without a seq. {"kind": "progress", …} is text as it
  streams, or "tool": what a model uses in the midst of a call, as it begins and as
  it ended. {"kind": "note", "note": KIND, "path": …, "text": …} says what follows
  from the fact before it and is said by no fact. Its kinds:

    waits, waited   a wait has begun (until), is over
    retry           the next attempt comes at until
    budget          a call waits for what others leave of the budget
    failed          a budget, a value, a require or a block's timeout: see error
    else            a fallback is taken; name is skip, keep or its path
    branch          an if or match goes this way; without a name, no way
    round, stopped  of a loop: number, and the most there can be (of)
    left_out        an item of a map failed, and that is tolerated
    won             a race is decided
    withdrawn       a question, wait or retry is not needed any more

  Readers skip kinds they do not know.

WHAT WAS USED

  has one shape in --events and --json:

    "usage": {"calls": 1, "input": 1200, "output": 80, "cacheRead": 0,
              "cacheWrite": 0, "tokens": "reported", "model": "opus"},
    "cost": 0.0042, "costSource": "estimated"

  tokens and costSource say where figures come from: reported by the service,
  estimated from a price, unknown, or none (a shell and a person have no such
  figure). What is unknown or none is null, never 0. cost, in dollars, is 0 only
  when costSource is free (the agent is declared to cost nothing), cache (the answer
  came out of the cache), or a service says so. Of a sum one part of which is
  unknown, all is unknown.

  slop run --json prints {id, status, output, error, steps, notes, usage, cost,
  costSource}. A step has path, agent, status (running, waiting, retrying, done,
  failed, cancelled), attempts (0: it failed before it could be called), started,
  finished, usage, cost, costSource, and error when it failed.
`},
	{"durability", `
DURABILITY

  slop run keeps its run in a file, runs.db, in the state folder. Each fact is on the
  disk before anything follows from it. Whatever ends the process, Ctrl-C or kill -9
  or the power, the run is where it was, and

    slop resume ID

  goes on with it: in the folder it was begun in, with keys and slop.toml as they are
  now, and the script as it was then. A step that is stored never runs again. ID may
  be the beginning of an id. Of a run that has ended, the end is printed once more.

WHAT WAS UNDER WAY

  A call that thinks or reads is made again. One that changes the world is not: the
  run asks what became of it.

    slop answer ID STEP done          it was done; done VALUE: and gave VALUE
    slop answer ID STEP again         call it once more
    slop answer ID STEP fail          it failed, and so does the step

  What commands of a killed slop had started and left behind is ended first.

  Ctrl-C waits up to 10 s for such a call. A second Ctrl-C does not.

RUNS

  slop runs                           the newest; --status, --flow, --since, --json
  slop runs show ID                   its steps, questions, cost and end
  slop runs logs -f ID                what happens, line by line; events: as JSON
  slop runs pause, resume, cancel ID  cancel is for good
  slop run --detach x.slop            prints the id, works in the background; so do
                                      slop resume and slop runs fork
                                      (log: logs/ID.log in the state folder)
  slop run -v x.slop                  says too what the engine does besides, such as
                                      a store that fails for a while
  slop answer ID STEP …               answers a question, from anywhere
  slop run --ephemeral x.slop         keeps nothing

  In lists "stopped" is a run that has not ended and that no process works on.

TIME TRAVEL

  slop runs fork ID --from STEP       a new run that does STEP again and what depends
                                      on it, and keeps the rest; -n only says what
    --only                            only STEP; what depends on it keeps its result
    -i name=value  --script FILE      what another input or an edited script changes;
                                      --from may then be left out
  slop runs diff A B                  in what two runs differ, and where they part
  slop runs export ID > run.json      a run in a file
  slop runs replay run.json           folds it again, offline, beside the script

  STEP is a path as slop runs show has it: draft, notes[3]/reader, poem#2, a block.
  People are asked again from there on. What is kept costs the new run nothing. What
  is not kept is called again, also when it changes the world: -n says which.

THE FOLDER

  --state DIR, else SLOP_STATE, else the state folder (slop help environment). Only
  you can read it. Inputs and answers are in it as they are; secrets are blacked out.
  Nothing is removed by itself:

    slop runs prune --keep 30d        removes what ended longer ago; slop run --keep
                                      and SLOP_KEEP do that after each run
    slop backup FILE                  a copy as of one moment, while runs go on
    slop doctor --store               reads all of it, names what is damaged

  With SLOP_STORE runs are kept on a Redis, 6.2 or newer, that several machines can
  share. It is as durable as it is configured to be; slop warns when that is not at
  all. Its password stands in SLOP_STORE, never on a command line.
`},
	{"language", `
THE LANGUAGE IN ONE PAGE

  // A line is a step: a name, an agent, what it is told, and how to be careful.
  input topic: string = "rain"
  facts = claude "Five facts about <<topic>>."  retry 2  timeout 60s
  draft = claude "Write 100 words from these facts:\n<<facts>>"
  output draft

  A step starts as soon as what it mentions is done. Thinking runs in parallel;
  what changes the world runs in the written order.

  TEXTS     "talks: <<name>>"   """over several lines"""   'raw, for code: <<no>>'
  TYPES     string int float bool file any  [T]  {a: T}  "one" | "other"  T?
            type Review { score: int "1 to 10"  must score in 1..10 else "1 to 10" }
            review = claude "Score this:\n<<draft>>" as Review
  VALUES    let words = len(split(draft, " "))
            require words > 10 else "too short"
  AGENTS    agent critic = claude(model: "opus") "You judge poems."
  BLOCKS    band  = parallel { a = claude "x"  …one a line… }
            notes = map f in files limit 4 tolerate 20% { claude "…<<f.text>>" }
            all   = reduce part in notes by 10 { claude "Merge:\n<<part>>" }
            best  = race { a = claude "x"  …  }
            poem  = loop draft from start max 5 {
                      review = critic "Score:\n<<draft>>" as Review
                      stop if review.score >= 8
                      claude "Better, please: <<review.notes>>\n<<draft>>"
                    } else keep
            output if ok == "yes" { … } else { … }
            output match kind { "bug" -> claude "…"   else -> "no" }
            built = try { … } else { … }        steps = sequence { … }
  CLAUSES   retry 3 wait 2s · timeout 30s · budget $0.05 · repair 2 · cache 1d
            after other · else claude "…" · else "text" · else skip · else fail "why"
  PEOPLE    ok = human.approve "Publish?\n<<draft>>" timeout 2d else "no"
  FLOWS     use "./critique.slop" as polish
  SECRETS   secret token      http.get(url: u, headers: {Authorization: token})
  TESTS     test "a bug goes to the engineer" {
              given message = "it crashes"
              mock triage -> {kind: "bug", urgent: true}
              expect output == "looking"
            }
            slop run --record DIR keeps real answers for --replay DIR (run, test)

  slop check says what is wrong, slop explain why, slop agents what can be called.
`},
}
