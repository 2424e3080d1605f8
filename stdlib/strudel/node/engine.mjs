// Asks the @strudel/* packages of a folder what code plays. They are the user's own: none of them is part of this project.
//
// Requests and answers are lines of JSON:
//   {"code": "s(\"bd\")", "cycles": 2}
//   {"cps": 0.5, "events": [{"whole": ["0", "1"], "part": ["0", "1"], "value": {"s": "bd"}}]}   or   {"error": "…"}
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { SourceTextModule, SyntheticModule } from 'node:vm';

// Answers have the real output to themselves; what the packages say is heard for their errors.
const write = process.stdout.write.bind(process.stdout);
const [exit, input] = [process.exit, process.stdin];
let said = [];
for (const level of ['log', 'info', 'warn', 'error', 'debug']) console[level] = (...words) => said.push(words.join(' '));

const folder = process.argv.at(-1);
const here = pathToFileURL(folder + '/').href;

// Modules are linked by hand: @strudel/core asks for @kabelsalat/web, which is made for browsers and does not load in Node, and of which nothing is needed
// to ask a pattern; and a loader's hooks would need a thread that Node's permissions do not bind.
const modules = new Map();
const made = (names, of) => new SyntheticModule(names, function () { for (const name of names) this.setExport(name, of[name]); });
async function link(name, from) {
  if (name === '@kabelsalat/web') return made(['SalatRepl', 'default'], { SalatRepl: class {}, default: {} });
  const url = name.startsWith('node:') ? name : import.meta.resolve(name, from.identifier);
  if (modules.has(url)) return modules.get(url);
  let module;
  const file = url.startsWith('file:') ? fileURLToPath(url) : undefined;
  if (file && isModule(file)) {
    module = new SourceTextModule(readFileSync(file, 'utf8'), { identifier: url, initializeImportMeta: (meta) => { meta.url = url; } });
  } else {
    const exports = createRequire(here)(file ?? url);
    const named = Object.keys(exports).filter((key) => key !== 'default');
    module = made([...named, 'default'], { ...exports, default: exports });
  }
  modules.set(url, module);
  return module;
}
function isModule(file) {
  if (file.endsWith('.mjs')) return true;
  if (!file.endsWith('.js')) return false;
  for (let at = file; (at = at.slice(0, at.lastIndexOf('/'))).includes('/node_modules/'); ) {
    try {
      return JSON.parse(readFileSync(at + '/package.json', 'utf8')).type === 'module';
    } catch {}
  }
  return false;
}
async function load(name) {
  const module = await link(name, { identifier: here });
  if (module.status === 'unlinked') await module.link(link);
  await module.evaluate();
  return module.namespace;
}

let voices, alls, cps;
async function open() {
  const core = await load('@strudel/core');
  const [mini, tonal, transpiling] = [await load('@strudel/mini'), await load('@strudel/tonal').catch(() => ({})), await load('@strudel/transpiler')];
  await core.evalScope(core, mini, tonal, {
    samples: async () => {},
    setcps: (x) => { cps = Number(x); },
    setCps: (x) => { cps = Number(x); },
    setcpm: (x) => { cps = Number(x) / 60; },
    setCpm: (x) => { cps = Number(x) / 60; },
    hush: () => { voices.clear(); return core.silence; },
    all: (f) => { alls.push(f); return core.silence; },
    slider: (x) => x,
    sliderWithID: (id, x) => x,
  });
  // A label is a voice: `$: …` and `name: …` become calls of p.
  core.Pattern.prototype.p = function (name) {
    const id = String(name);
    if (id.startsWith('_') || id.endsWith('_')) return core.silence;
    voices.set(id.includes('$') ? id + voices.size : id, this);
    return this;
  };
  for (const name of ['pianoroll', 'punchcard', 'wordfall', 'scope', 'tscope', 'fscope', 'spectrum', 'spiral', 'pitchwheel'])
    for (const draw of [name, '_' + name]) core.Pattern.prototype[draw] ??= function () { return this; };
  return async (code, cycles) => {
    voices = new Map();
    alls = [];
    cps = 0.5;
    said = [];
    let { pattern } = await core.evaluate(code, transpiling.transpiler);
    if (voices.size) pattern = core.stack(...voices.values());
    for (const f of alls) pattern = f(pattern);
    if (typeof pattern?.queryArc !== 'function') throw new Error('the code plays nothing: it has no pattern');
    const events = pattern.queryArc(0, cycles, { _cps: cps });
    const failed = said.find((line) => /error/i.test(line));
    if (failed) throw new Error(failed.replace(/^%c/, '').replace(/ background-color:.*$/, ''));
    return { cps, events: events.map((e) => ({ whole: span(e.whole), part: span(e.part), value: plain(e.value) })) };
  };
}

const span = (s) => (s ? [s.begin.toFraction(), s.end.toFraction()] : null);
function plain(v) {
  if (typeof v === 'bigint') return Number(v);
  if (typeof v === 'function') return '(function)';
  if (Array.isArray(v)) return v.map(plain);
  if (v && typeof v === 'object') {
    if ('n' in v && 'd' in v && 's' in v && typeof v.valueOf() === 'number') return v.valueOf();
    if (typeof v.queryArc === 'function') return '(pattern)';
    return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]));
  }
  return v;
}

let ask, broken;
try {
  ask = await open();
  // What runs from here on is the code that is asked about.
  for (const name of ['process', 'fetch', 'WebSocket', 'EventSource', 'WebAssembly', 'navigator']) delete globalThis[name];
} catch (e) {
  broken = 'the packages @strudel/core, mini and transpiler could not be loaded from ' + folder + ': ' + e.message;
}
for await (const line of createInterface({ input })) {
  let answer;
  if (broken) {
    write(JSON.stringify({ broken }) + '\n');
    continue;
  }
  try {
    const { code, cycles } = JSON.parse(line);
    answer = await ask(code, cycles);
  } catch (e) {
    answer = { error: String(e?.message ?? e) };
  }
  write(JSON.stringify(answer) + '\n');
}
exit(0);
