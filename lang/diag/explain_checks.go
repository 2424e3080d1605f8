package diag

// checkExplanations are the codes of the checks, E0101 and up. Each bad script provokes its code and each good one is clean: a test runs them all.
// Examples that need a second file use ./polish.slop, which asks for text.
var checkExplanations = []Explanation{
	{
		Code: "E0101", Title: "unknown name",
		Text: "A name inside `<<…>>` or in an expression stands for nothing here. A name is an input, a step, a `let`, or what the header of a block binds. It is seen in its own block and in the blocks inside it, never from outside: from outside one sees the block's value, under the block's name. An agent is no value, and a type is none.",
		Bad: `input topic: string
writer "Write about <<topci>>."`,
		Good: `input topic: string
writer "Write about <<topic>>."`,
	},
	{
		Code: "E0102", Title: "unknown agent",
		Text: "What stands before a text, or before `(name: …)`, is an agent: one of the runtime (`slop agents` lists them), one that the file makes with `agent`, or a flow that it names with `use`. Some do several things, and then the dot says which: `http.get`, `human.ask`. A value cannot be called.",
		Bad: `facts = reseacher "Five facts about rain."
output facts`,
		Good: `facts = researcher "Five facts about rain."
output facts`,
	},
	{
		Code: "E0103", Title: "lines that wait for each other",
		Text: "A line waits for what it mentions, for what it names behind `after`, for each `require` or `stop if` above it, and, if it changes something, for the line above it that does too. When such waiting comes back to where it began, none of the lines could ever start. The message shows the way round; break it where it hurts least. The same goes for agents that are made from each other, and for a type that contains itself.",
		Bad: `verse = lyricist "A verse for <<tune>>"
tune = composer "A tune for <<verse>>"
output "<<verse>> <<tune>>"`,
		Good: `verse = lyricist "A verse about rain"
tune = composer "A tune for <<verse>>"
output "<<verse>> <<tune>>"`,
	},
	{
		Code: "E0104", Title: "a name given twice",
		Text: "Within a block and the blocks around it a name stands for one thing only, so that a reader never has to ask which is meant. Two blocks side by side may use the same name. Agents, types and tests have their own names, each once in a file.",
		Bad: `draft = writer "A poem about rain"
draft = editor "Shorter: a poem about rain"
output draft`,
		Good: `draft = writer "A poem about rain"
short = editor "Shorter: <<draft>>"
output short`,
	},
	{
		Code: "E0105", Title: "a word of the language as a name",
		Text: "The words that begin lines and clauses cannot be names, nor can a few that are kept for later, and names have no hyphens: letters, digits and `_` only.",
		Bad: `input key: string
composer "A tune in <<key>>"`,
		Good: `input tonality: string
composer "A tune in <<tonality>>"`,
	},
	{
		Code: "E0106", Title: "an `after` that says nothing new",
		Text: "A step waits by itself for every step it mentions. `after` is for those it does not mention.",
		Bad: `draft = writer "A poem about rain"
short = editor "Shorter: <<draft>>" after draft
output short`,
		Good: `draft = writer "A poem about rain"
short = editor "Shorter: <<draft>>"
output short`,
	},
	{
		Code: "E0107", Title: "something that nobody uses",
		Text: "An answer that nobody reads was paid for in vain, and an input that nobody mentions is asked for in vain: more often than not a mention was forgotten. Steps that change something may go unread.",
		Bad: `facts = researcher "Facts about rain"
draft = writer "A poem about rain"
output draft`,
		Good: `facts = researcher "Facts about rain"
draft = writer "A poem about rain, true to these facts: <<facts>>"
output draft`,
	},
	{
		Code: "E0108", Title: "a flow or template that is not there",
		Text: "What `use` names is looked for from the file that says it: `./name.slop` beside it, `std/name` in the library, `@owner/name@2` on a server; the file of a `use template` in the same way. It must be there before anything runs.",
		Bad: `use "./polsh.slop" as polish
polish "A poem"`,
		Good: `use "./polish.slop" as polish
polish "A poem"`,
	},
	{
		Code: "E0109", Title: "unknown field",
		Text: "A typed value has the fields of its type and no others. The type comes from `as`, from the input, or from the agent.",
		Bad: `type Review { score: int, notes: string }
review = critic "Judge the weather." as Review
output review.note`,
		Good: `type Review { score: int, notes: string }
review = critic "Judge the weather." as Review
output review.notes`,
	},
	{
		Code: "E0110", Title: "types that do not go together",
		Text: "A condition is true or false; `+` wants two numbers or two texts; a fallback gives what its step would have given; a file stands in a text by its `.text` or its `.name`. Nothing is turned into something else silently.",
		Bad: `answer = claude "Is it raining?"
output if answer { claude "Take an umbrella." } else { claude "Enjoy the sun." }`,
		Good: `answer = claude "Is it raining?" as "yes" | "no"
output if answer == "yes" { claude "Take an umbrella." } else { claude "Enjoy the sun." }`,
	},
	{
		Code: "E0111", Title: "an argument that is unknown, missing or of the wrong type",
		Text: "Every capability says what it takes; `slop agents` shows it. The text behind an agent is its first argument. `retry`, `timeout` and their like are no arguments: they stand behind the call.",
		Bad:  `strudel.render(code: 'note("c e g")', second: 16)`,
		Good: `strudel.render(code: 'note("c e g")', seconds: 16)`,
	},
	{
		Code: "E0112", Title: "a flow without an input it needs, or with one it does not have",
		Text: "The inputs of a flow are the arguments of its call. Those without a default must be given. A text behind the call fills the first input.",
		Bad: `use "./polish.slop" as polish
polish(txt: "A poem")`,
		Good: `use "./polish.slop" as polish
polish(text: "A poem")`,
	},
	{
		Code: "E0113", Title: "a default that its own input refuses",
		Text: "A default is a constant, of the type of its input, and meets its `must`.",
		Bad: `input bpm: int = 400 must bpm in 40..240
drummer "A beat at <<bpm>> bpm"`,
		Good: `input bpm: int = 92 must bpm in 40..240
drummer "A beat at <<bpm>> bpm"`,
	},
	{
		Code: "E0114", Title: "a case that is missing or impossible",
		Text: "A `match` covers every value that can come, by a case or by `else`. A case, or a comparison with `==` or `in`, that can never hold is a mistake: usually of spelling.",
		Bad: `ok = human.approve "Publish?"
output if ok == "Yes" { writer "Say hooray." } else { writer "Say sorry." }`,
		Good: `ok = human.approve "Publish?"
output if ok == "yes" { writer "Say hooray." } else { writer "Say sorry." }`,
	},
	{
		Code: "E0115", Title: "a value that may be empty where one is needed",
		Text: "An `if` without `else`, `else skip`, and inputs or fields with a question mark may be empty. Nothing is put in for them silently: `??` says what to take instead.",
		Bad: `input wish: string?
writer "A poem. Wishes: <<wish>>"`,
		Good: `input wish: string?
writer "A poem. Wishes: <<wish ?? "none">>"`,
	},
	{
		Code: "E0116", Title: "`map` or `reduce` over something that is no list",
		Text: "`map` and `reduce` go over lists. An agent gives a list when it is asked for one with `as`; a text can be cut into one with `split`.",
		Bad: `names = claude "Ten band names"
logos = map name in names { claude "A logo for <<name>>" }
output logos`,
		Good: `names = claude "Ten band names" as [string]
logos = map name in names { claude "A logo for <<name>>" }
output logos`,
	},
	{
		Code: "E0117", Title: "a loop or reduce whose value does not go round",
		Text: "The value of a loop's body becomes the loop's variable in the next round, so it is of the same kind. The value of a reduce is merged again, so it is like an item.",
		Bad: `type Review { score: int }
start = writer "A poem"
poem = loop draft from start max 3 { critic "Judge: <<draft>>" as Review }
output poem`,
		Good: `start = writer "A poem"
poem = loop draft from start max 3 { writer "Better: <<draft>>" }
output poem`,
	},
	{
		Code: "E0118", Title: "a condition that never changes",
		Text: "A `stop if` that looks at nothing inside its loop holds in the first round or never. A condition without any name in it is always the same.",
		Bad: `input wanted: int
start = writer "A poem"
poem = loop draft from start max 3 {
  stop if wanted > 5
  writer "Better: <<draft>>"
} else keep
output poem`,
		Good: `input wanted: int
start = writer "A poem"
poem = loop draft from start max 3 {
  stop if len(draft) > wanted
  writer "Longer: <<draft>>"
} else keep
output poem`,
	},
	{
		Code: "E0119", Title: "a loop that does not say what happens when its rounds are used up",
		Text: "`stop if` says when a loop is content. It may never be: then `else keep` goes on with the last value, `else fail` with a failure, `else` and another agent with its answer.",
		Bad: `start = writer "A poem"
poem = loop draft from start max 5 {
  stop if len(draft) < 100
  writer "Shorter: <<draft>>"
}
output poem`,
		Good: `start = writer "A poem"
poem = loop draft from start max 5 {
  stop if len(draft) < 100
  writer "Shorter: <<draft>>"
} else keep
output poem`,
	},
	{
		Code: "E0120", Title: "a quote, a bracket or `<<` without its end",
		Text: "The message points at the one that was opened. Double quotes and single quotes end on their line; three of them span lines. `<<` belongs to texts in double quotes; for code that contains `<<`, such as Strudel's, there are single quotes, in which nothing is special. Quotes are straight: word processors bend them.",
		Bad:  `writer "A poem about rain`,
		Good: `writer "A poem about rain"`,
	},
	{
		Code: "E0121", Title: "what looks like a value but stays text",
		Text: "Values are put into texts in double quotes, as `<<name>>`. Single quotes don't listen, and `{{name}}`, `${name}` and `{name}` are other languages' ways.",
		Bad: `input topic: string
writer "Write about {{topic}}, and again about <<topic>>."`,
		Good: `input topic: string
writer "Write about <<topic>>."`,
	},
	{
		Code: "E0122", Title: "a secret where it could be seen",
		Text: "A secret may stand only in an argument that is made for secrets: headers, env, keys. In a prompt, a `let`, an output or a condition it would be shown, stored, or sent to a model.",
		Bad: `secret token
claude "Is <<token>> a good password?"`,
		Good: `secret token
page = http.get(url: "https://example.com/", headers: {Authorization: "Bearer <<token>>"})
output page.body`,
	},
	{
		Code: "E0123", Title: "text of the world where it could do harm",
		Text: "What a model, a person or a web page says may be made to do harm. So it never becomes part of what a shell runs, nor of the host a request goes to. Give it to a command as a word (each value is one word, no shell runs) or in the environment, and to a URL behind the host.",
		Bad: `word = claude "A word to look for"
shell(sh: "grep -c <<word>> *.txt | sort")`,
		Good: `word = claude "A word to look for"
shell(sh: 'grep -c "$WORD" *.txt | sort', env: {WORD: word})`,
	},
	{
		Code: "E0124", Title: "a function that gives something else each time",
		Text: "A run that was interrupted goes on where it was, so every expression must give the same value again. `run.started` is when the run began.",
		Bad:  `output claude "What happened on <<now()>>?"`,
		Good: `output claude "What happened on <<run.started>>?"`,
	},
	{
		Code: "E0125", Title: "something in a race that cannot race",
		Text: "The losers of a race are cancelled, so its members only think or read, each in a line with a name.",
		Bad: `first = race {
  fast = http.post(url: "https://example.com/order", body: "pizza")
  slow = claude "Where is my pizza?"
}
output first`,
		Good: `first = race {
  fast = claude "Name this band."
  slow = gpt "Name this band."
}
output first`,
	},
	{
		Code: "E0126", Title: "a retry of something that must not happen twice",
		Text: "A failure does not say whether the work was done before it. What changes something is tried again only if its agent promises that doing it twice is doing it once (`http.put` and `http.delete` do, `http.post` and `shell` do not).",
		Bad:  `http.post(url: "https://example.com/orders", body: "pizza") retry 3`,
		Good: `http.put(url: "https://example.com/orders/1", body: "pizza") retry 3`,
	},
	{
		Code: "E0127", Title: "a budget that cannot be kept",
		Text: "A budget in dollars needs to know what each model costs. As a warning: if everything is retried, repaired and goes all its rounds, the flow could ask for more than the budget; it would stop there.",
		Bad: `budget $2
ollama "Say hello."`,
		Good: `budget 20 calls
ollama "Say hello."`,
	},
	{
		Code: "E0128", Title: "a clause that cannot apply, or contradicts another",
		Text: "What stands behind a step must be able to do something. A call can have `as`, `after`, `retry`, `repair`, `timeout`, `cache`, `budget` and `else`; a block `after`, `timeout`, `budget` and `else`; a loop also `else keep`; `if` and `match` have `after`, `timeout` and `budget`.",
		Bad:  `writer "A poem about rain" repair 2`,
		Good: `writer "Ten titles" as [string] repair 2`,
	},
	{
		Code: "E0129", Title: "a test that does not fit its flow",
		Text: "A test gives the inputs, says what agents answer, and looks at the output. What it mocks must be called, what would change the world must be mocked, and what it expects must be there.",
		Bad: `input topic: string
writer "Write about <<topic>>"

test "a draft" {
  given topic = "rain"
  mock writter -> "drip"
  expect output == "drip"
}`,
		Good: `input topic: string
writer "Write about <<topic>>"

test "a draft" {
  given topic = "rain"
  mock writer -> "drip"
  expect output == "drip"
}`,
	},
	{
		Code: "E0130", Title: "a flow inside itself, or something too large",
		Text: "A flow cannot use itself, at once or by way of others: to repeat something there is `loop`. Files, nesting and the number of steps have limits, far above what a person writes. Characters that turn the direction of writing are refused: what one reads must be what runs.",
		Bad: `use "./main.slop" as again
input n: int = 3
again(n: n)`,
		Good: `start = writer "A poem"
poem = loop draft from start max 3 { writer "Better: <<draft>>" }
output poem`,
	},
	{
		Code: "E0131", Title: "a loop that throws away what it judged",
		Text: "When `stop if` holds, the loop leaves with its variable as it was at the beginning of the round. Judge the variable, stop, and make the next value below.",
		Bad: `type Review { score: int }
start = writer "A poem"
poem = loop draft from start max 5 {
  better = writer "Better: <<draft>>"
  review = critic "Judge: <<better>>" as Review
  stop if review.score >= 8
  output better
} else keep
output poem`,
		Good: `type Review { score: int }
start = writer "A poem"
poem = loop draft from start max 5 {
  review = critic "Judge: <<draft>>" as Review
  stop if review.score >= 8
  writer "Better: <<draft>>"
} else keep
output poem`,
	},
	{
		Code: "E0132", Title: "a line after the value of its block",
		Text: "The last line of a block may be its value: `output`, or a step without a name. Every other step has a name. `output` stops nothing; to stop early there is `require`. A block has at least one line.",
		Bad: `draft = writer "A poem"
output draft
short = editor "Shorter: <<draft>>"`,
		Good: `draft = writer "A poem"
short = editor "Shorter: <<draft>>"
output short`,
	},
	{
		Code: "E0133", Title: "a question whose answer nobody reads",
		Text: "To ask a person and go on whatever the answer is cannot be meant. `require` stops the flow, `if` goes one way or the other.",
		Bad: `ok = human.approve "Publish?"
sent = http.post(url: "https://example.com/posts", body: "Hello")
output sent.status`,
		Good: `ok = human.approve "Publish?"
require ok == "yes" else "not approved"
sent = http.post(url: "https://example.com/posts", body: "Hello")
output sent.status`,
	},
}
