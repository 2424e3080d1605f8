// An agent in TypeScript, with nothing but Node: it greets, slowly if asked to, and asks back when it does not know whom.
//
//   [agents.greeter]
//   use = "program"
//   command = ["node", "agent.ts"]     # Node 22.18 or newer runs it as it is
//
// For an older Node:  npx esbuild agent.ts --format=esm --outfile=agent.mjs

import { createInterface } from "node:readline";

interface Call {
  type: "call";
  id: string;
  capability: string;
  args: { name?: string; seconds?: number };
  answer?: { token: string; value: unknown };
}

type Message = Call | { type: "hello" } | { type: "ping"; n: number } | { type: "cancel"; id: string };

const hello = {
  type: "hello",
  protocol: 1,
  name: "greeter",
  version: "1.0",
  concurrency: 8,
  heartbeat: 10,
  capabilities: [
    {
      name: "",
      doc: "Greets somebody.",
      effect: "read",
      text: "name",
      input: {
        type: "object",
        properties: { name: { type: "string" }, seconds: { type: "number", description: "how long to take" } },
      },
      output: { type: "string" },
      examples: [{ args: { name: "Zoë" } }, { args: { name: "Max", seconds: 0.2 } }],
    },
  ],
};

const running = new Map<string, AbortController>();

function say(message: object): void {
  process.stdout.write(JSON.stringify(message) + "\n");
}

function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new Error("stopped greeting"));
    });
  });
}

// Makes one call. Whatever happens, it says result, error or ask once.
async function serve(call: Call): Promise<void> {
  const { id, args } = call;
  const abort = new AbortController();
  running.set(id, abort);
  try {
    if (call.capability !== "") throw new Error("there is no capability " + call.capability);
    const name = args.name ?? call.answer?.value;
    if (name === undefined) {
      say({ type: "ask", id, form: { text: "Whom shall I greet?" }, token: "" }); // called again with the answer
      return;
    }
    if (args.seconds) {
      say({ type: "progress", id, note: "clearing my throat" });
      await pause(args.seconds, abort.signal);
    }
    say({ type: "result", id, value: `Hello, ${name}!` });
  } catch (err) {
    const outcome = abort.signal.aborted ? "cancelled" : "error";
    say({ type: "error", id, outcome, message: (err as Error).message });
  } finally {
    running.delete(id);
  }
}

const input = createInterface({ input: process.stdin, crlfDelay: Infinity });
input.on("line", (line: string) => {
  let message: Message;
  try {
    message = JSON.parse(line);
  } catch (err) {
    console.error("not a message:", err); // standard error is for people
    return;
  }
  switch (message.type) {
    case "hello":
      return say(hello);
    case "ping":
      return say({ type: "pong", n: message.n });
    case "cancel":
      return running.get(message.id)?.abort();
    case "call":
      void serve(message);
  }
});
input.on("close", () => process.exit(0)); // slop is done with us
