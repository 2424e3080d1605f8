package diag

// syntaxExplanations are the codes of reading: what is wrong with the text of a script before any of it means something.
var syntaxExplanations = []Explanation{
	{
		Code:  "E0001",
		Title: "something stands where it cannot",
		Text:  "Reading stopped at a word or sign that cannot stand there. The message shows how the construct is written.",
		Bad: `x = writer "Write a poem." retyr 3
output x`,
		Good: `x = writer "Write a poem." retry 3
output x`,
	},
	{
		Code:  "E0002",
		Title: "the file is not a text in UTF-8",
		Text:  "A script is a plain text file in UTF-8. Other encodings, images and documents of word processors cannot be read.",
		Bad:   "(a file saved as UTF-16)",
		Good:  "(the same file saved as UTF-8)",
	},
	{
		Code:  "E0003",
		Title: "an unknown escape in a text",
		Text:  `In double quotes a backslash begins one of \n \t \" \\ \u{…} and \<<. Anything else is a slip. In single quotes nothing is special.`,
		Bad:   `output writer "Match \d+ in this."`,
		Good:  `output writer 'Match \d+ in this.'`,
	},
	{
		Code:  "E0004",
		Title: "a calculation without let, or a step with it",
		Text:  "A line `name = …` is a step: it calls an agent. A value that is calculated gets its name with `let`.",
		Bad: `x = 3
output x`,
		Good: `let x = 3
output x`,
	},
	{
		Code:  "E0005",
		Title: "the text of an agent in brackets",
		Text:  "What an agent is told stands behind its name, in quotes and without brackets. Brackets hold arguments with names.",
		Bad:   `output writer("Write a poem.")`,
		Good:  `output writer "Write a poem."`,
	},
	{
		Code:  "E0006",
		Title: "what an agent is told lacks its quotes",
		Text:  "An agent is told a text. A value is put into the text with << >>.",
		Bad: `draft = writer "Write a poem."
final = editor draft
output final`,
		Good: `draft = writer "Write a poem."
final = editor "Tighten: <<draft>>"
output final`,
	},
	{
		Code:  "E0007",
		Title: "a value alone",
		Text:  "A line that is only a text or a value does nothing. The value of a block or file is its `output`, or a step as its last line.",
		Bad:   `"Hello."`,
		Good:  `output "Hello."`,
	},
	{
		Code:  "E0008",
		Title: "a word of another language",
		Text:  "The message says how it is written here: `map` for for, `loop` for while, `output` for return, `use` for import, braces for then and end, `else if` for elif.",
		Bad:   `return "Hello."`,
		Good:  `output "Hello."`,
	},
	{
		Code:  "E0009",
		Title: "another arrow or colon where -> belongs",
		Text:  "Between a case and what it does, and between a mocked agent and its answer, stands `->`.",
		Bad: `input kind: string
output match kind {
  "bug" => engineer "Look."
  else => support "Look."
}`,
		Good: `input kind: string
output match kind {
  "bug" -> engineer "Look."
  else  -> support "Look."
}`,
	},
	{
		Code:  "E0010",
		Title: "a comment of another language",
		Text:  "A comment begins with `//` and ends with its line.",
		Bad: `# greet
output writer "Hello."`,
		Good: `// greet
output writer "Hello."`,
	},
	{
		Code:  "E0011",
		Title: "a colon or equals sign too many",
		Text:  "A clause is words: `retry 3`, `timeout 30s`, `limit 4`.",
		Bad:   `output writer "Hello." retry: 3`,
		Good:  `output writer "Hello." retry 3`,
	},
	{
		Code:  "E0012",
		Title: "a type of another language",
		Text:  "Types are string, int, float, bool, file, any, lists as [string], records as {name: string}, texts as \"a\" | \"b\", and the types of the file. `?` behind a type: it may be missing.",
		Bad: `input names: list<string>
output join(names, ", ")`,
		Good: `input names: [string]
output join(names, ", ")`,
	},
	{
		Code:  "E0013",
		Title: "a constant of another language",
		Text:  "Nothing is `nil`, yes and no are `true` and `false`.",
		Bad: `let x = None
output x ?? "none"`,
		Good: `let x = nil
output x ?? "none"`,
	},
	{
		Code:  "E0014",
		Title: "= where == is meant",
		Text:  "`=` gives a name; to compare write `==`.",
		Bad: `input n: int
output if n = 3 { writer "Three." } else { writer "Other." }`,
		Good: `input n: int
output if n == 3 { writer "Three." } else { writer "Other." }`,
	},
	{
		Code:  "E0015",
		Title: "a colon where = belongs, or the other way round",
		Text:  "A step's name is followed by `=`, an argument's name by `:`.",
		Bad: `x: writer "Hello."
output x`,
		Good: `x = writer "Hello."
output x`,
	},
	{
		Code:  "E0016",
		Title: "a semicolon",
		Text:  "Every step stands on a line of its own; nothing ends it.",
		Bad: `x = writer "Hello.";
output x`,
		Good: `x = writer "Hello."
output x`,
	},
	{
		Code:  "E0017",
		Title: "template braces outside a text",
		Text:  "Values are put into texts with << >>; in a calculation a name stands for itself.",
		Bad: `input topic: string
x = {{ topic }}
output x`,
		Good: `input topic: string
let x = topic
output x`,
	},
	{
		Code:  "E0018",
		Title: "YAML",
		Text:  "A script is a list of steps, one sentence each, and blocks stand in braces.",
		Bad: `steps:
  - name: draft`,
		Good: `draft = writer "Write about rain."
output draft`,
	},
	{
		Code:  "E0019",
		Title: "a duration or amount without its unit",
		Text:  "A duration is a whole number with ms, s, m, h or d; a budget is dollars as $0.50, or a number of tokens or calls.",
		Bad:   `output writer "Hello." timeout 30`,
		Good:  `output writer "Hello." timeout 30s`,
	},
	{
		Code:  "E0020",
		Title: "a number is missing or not written in digits",
		Text:  "Behind retry, repair, limit, max and by comes a whole number in digits.",
		Bad:   `output writer "Hello." retry three`,
		Good:  `output writer "Hello." retry 3`,
	},
	{
		Code:  "E0021",
		Title: "a loop or reduce without its bounds",
		Text:  "A loop says what it starts from and how many rounds it may take at most; a reduce says how many it merges at a time.",
		Bad: `start = writer "A poem."
output loop draft from start { writer "Better: <<draft>>" }`,
		Good: `start = writer "A poem."
output loop draft from start max 5 { writer "Better: <<draft>>" }`,
	},
	{
		Code:  "E0022",
		Title: "map written otherwise",
		Text:  "`map` names an item, then the list: map file in files { … }.",
		Bad: `input files: [file]
output map f of files { reader "<<f.text>>" }`,
		Good: `input files: [file]
output map f in files { reader "<<f.text>>" }`,
	},
	{
		Code:  "E0023",
		Title: "a blank or sign that cannot be seen",
		Text:  "Web pages and chat windows put no-break spaces and invisible characters into copied text. Outside of texts only ordinary spaces and tabs are blanks.",
		Bad:   "x =\u00a0writer \"Hello.\"\noutput x",
		Good: `x = writer "Hello."
output x`,
	},
	{
		Code:  "E0024",
		Title: "a closing bracket too many",
		Text:  "It closes nothing: remove it, or look for a bracket that was closed too early above it.",
		Bad: `output writer "Hello."
}`,
		Good: `output writer "Hello."`,
	},
	{
		Code:  "E0026",
		Title: "a line that stops too early",
		Text:  "Something that the line began is missing at its end; the message shows how it is written.",
		Bad: `x =
output 3`,
		Good: `let x = 3
output x`,
	},
	{
		Code:  "E0027",
		Title: "a block without braces",
		Text:  "A block stands in braces; indenting alone means nothing.",
		Bad: `input ok: bool
if ok:
  writer "Go on."`,
		Good: `input ok: bool
if ok {
  writer "Go on."
}`,
	},
	{
		Code:  "E0028",
		Title: "a declaration inside a block",
		Text:  "use, input, secret, type, agent and test stand in the file, not inside a block.",
		Bad: `output parallel {
  input topic: string
  a = writer "<<topic>>"
}`,
		Good: `input topic: string
output parallel {
  a = writer "<<topic>>"
}`,
	},
	{
		Code:  "E0031",
		Title: "a type is missing or misplaced",
		Text:  "An input has a type behind a colon; a type of the file has its fields in braces.",
		Bad: `input topic
output writer "<<topic>>"`,
		Good: `input topic: string
output writer "<<topic>>"`,
	},
	{
		Code:  "E0032",
		Title: "a use without path or name",
		Text:  "What is used stands in quotes and gets a name with `as`.",
		Bad: `use "./critique.slop"
output 1`,
		Good: `use "./critique.slop" as critique
output critique()`,
	},
}
