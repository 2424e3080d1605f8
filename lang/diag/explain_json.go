package diag

// What is said of JSON workflow definitions (lang/jsonflow).
var jsonExplanations = []Explanation{
	{
		Code: "E0201", Title: "a definition that is no JSON",
		Text: "A workflow definition is JSON: names and texts in double quotes, no comments, no comma before a closing bracket. It has at most 2 MiB, nested at most 100 deep.",
		Bad:  `{"steps": [{"id": "a", "prompt": "Hello",}]}`,
		Good: `{"steps": [{"id": "a", "prompt": "Hello"}]}`,
	},
	{
		Code: "E0202", Title: "a value of a definition that is missing or cannot be",
		Text: "A field that must be there is not, is of the wrong kind, is out of its bounds, or stands there twice. Times are whole milliseconds.",
		Bad:  `{"steps": [{"id": "a", "prompt": "Hello", "timeoutMs": "30s"}]}`,
		Good: `{"steps": [{"id": "a", "prompt": "Hello", "timeoutMs": 30000}]}`,
	},
	{
		Code: "E0203", Title: "a field of a definition that has no meaning",
		Text: "Nothing is left out without a word. A field nobody knows may be one that is spelled in another way; a variable that the prompt never mentions reaches nobody.",
		Bad:  `{"steps": [{"id": "a", "prompt": "Hello", "dependson": []}]}`,
		Good: `{"steps": [{"id": "a", "prompt": "Hello", "dependsOn": []}]}`,
	},
	{
		Code: "E0204", Title: "an id that two steps have",
		Text: "The id of a step is what others name it by, so each has its own.",
		Bad:  `{"steps": [{"id": "a", "prompt": "Hello"}, {"id": "a", "prompt": "Bye"}]}`,
		Good: `{"steps": [{"id": "a", "prompt": "Hello"}, {"id": "b", "prompt": "Bye"}]}`,
	},
	{
		Code: "E0205", Title: "a step that is not there",
		Text: "A dependency, an input or a gap in a prompt names a step by its id. What it names must be another step of the definition.",
		Bad:  `{"steps": [{"id": "facts", "prompt": "Find facts"}, {"id": "text", "prompt": "Write from {{steps.fact.output}}"}]}`,
		Good: `{"steps": [{"id": "facts", "prompt": "Find facts"}, {"id": "text", "prompt": "Write from {{steps.facts.output}}"}]}`,
	},
	{
		Code: "E0206", Title: "steps that wait for each other",
		Text: "A step waits for its dependencies, and for every step whose answer it mentions. In a circle nobody can begin.",
		Bad:  `{"steps": [{"id": "a", "prompt": "Hello", "dependencies": ["b"]}, {"id": "b", "prompt": "{{a.output}}"}]}`,
		Good: `{"steps": [{"id": "a", "prompt": "Hello"}, {"id": "b", "prompt": "{{a.output}}"}]}`,
	},
	{
		Code: "E0207", Title: "a condition that cannot be read",
		Text: "A condition compares paths with values, by == != === !== < <= > >= && || ! and brackets, and asks texts by includes, startsWith, endsWith and length. It is read when the definition is: one that could not be read would be a step that never runs, and nobody would know why. There are no functions and no arithmetic.",
		Bad:  `{"steps": [{"id": "a", "prompt": "Hello", "condition": "(ctx) => ctx.tier == 'premium'"}], "context": {"tier": "basic"}}`,
		Good: `{"steps": [{"id": "a", "prompt": "Hello", "condition": "context.tier == 'premium'"}], "context": {"tier": "basic"}}`,
	},
	{
		Code: "E0208", Title: "an agent that a definition names and nobody knows",
		Text: "`agentType` is claude, strudel or custom; a custom agent is named by `agentId`, as `slop agents` lists them. Who takes part in a self-critique or a discussion must be a model. An agent that is not there is never replaced by another.",
		Bad:  `{"steps": [{"id": "a", "agentType": "custom", "agentId": "cloude", "prompt": "Hello"}]}`,
		Good: `{"steps": [{"id": "a", "agentType": "custom", "agentId": "claude", "prompt": "Hello"}]}`,
	},
	{
		Code: "E0209", Title: "a path or a gap that cannot be read",
		Text: "In a prompt `{{path}}` is a gap: a name, then fields and items, such as {{report.title}} or {{steps.draft.output}}. Conditions, loops and filters of template languages are no paths, and never go to an agent as they stand. A system prompt knows the context at the beginning only. For the braces themselves write \\{{ (in JSON \\\\{{).",
		Bad:  `{"steps": [{"id": "a", "prompt": "Hello {{#if name}}{{name}}{{/if}}"}], "context": {"name": "Ada"}}`,
		Good: `{"steps": [{"id": "a", "prompt": "Hello {{name}}"}], "context": {"name": "Ada"}}`,
	},
	{
		Code: "E0210", Title: "something that is done in another way than a definition says",
		Text: "The wait between attempts doubles up to 30 s; a text has no fields, so all of it is taken; a step that reads what another writes waits for it; of two that write the same path at once, what the later one writes counts.",
		Bad:  `{"steps": [{"id": "a", "prompt": "Hello", "retryPolicy": {"maxRetries": 3, "backoffMultiplier": 3}}]}`,
		Good: `{"steps": [{"id": "a", "prompt": "Hello", "retryPolicy": {"maxRetries": 3, "backoffMultiplier": 2}}]}`,
	},
}
