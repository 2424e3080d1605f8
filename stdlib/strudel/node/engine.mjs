// Asks the @strudel/* packages of a folder what code plays. They are the user's own: none of them is part of this project.
//
// Requests and answers are lines of JSON:
//   {"code": "s(\"bd\")", "cycles": 2}
//   {"cps": 0.5, "events": [{"whole": ["0", "1"], "part": ["0", "1"], "value": {"s": "bd"}}]}   or   {"error": "…"}
import { createRequire, register } from 'node:module';
import { pathToFileURL } from 'node:url';
import { createInterface } from 'node:readline';

// Answers have the real output to themselves; what the packages say is heard for their errors.
const write = process.stdout.write.bind(process.stdout);
let said = [];
for (const level of ['log', 'info', 'warn', 'error', 'debug']) console[level] = (...words) => said.push(words.join(' '));

// @strudel/core asks for a package that is made for browsers and does not load in Node; nothing of it is needed to ask a pattern.
const instead = 'data:text/javascript,' + encodeURIComponent('export const SalatRepl = class {}; export default {};');
register('data:text/javascript,' + encodeURIComponent(`
  export async function resolve(name, context, next) {
    return name === '@kabelsalat/web' ? { url: ${JSON.stringify(instead)}, shortCircuit: true } : next(name, context);
  }`));

const folder = process.argv[2] ?? process.cwd();
const find = createRequire(pathToFileURL(folder + '/'));
const load = async (name) => import(pathToFileURL(find.resolve(name)));

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
} catch (e) {
  broken = 'the packages @strudel/core, mini and transpiler could not be loaded from ' + folder + ': ' + e.message;
}
for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    if (broken) throw new Error(broken);
    const { code, cycles } = JSON.parse(line);
    answer = await ask(code, cycles);
  } catch (e) {
    answer = { error: String(e?.message ?? e) };
  }
  write(JSON.stringify(answer) + '\n');
}
process.exit(0);
