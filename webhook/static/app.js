/* The page of one conversation: the chat, the state machine while it moves, and what a turn did.
 *
 * Replies come as Server-Sent Events, which repeat everything after a reload; what the person wrote is kept in this
 * browser. Whatever people or a model wrote becomes a text node, never markup. */

// -- Words ------------------------------------------------------------------------------------------------------------

const WORDS = {
  pt: {
    viewChat: "Conversa", viewInspector: "Bastidores", newConversation: "Nova conversa",
    conversation: "Conversa", messages: "Mensagens", machine: "Máquina de estados", inspector: "O turno por dentro",
    welcomeTitle: "Escreva como um cliente escreveria.",
    welcomeText: "Ao lado aparece o que acontece por trás de cada resposta: o caminho na máquina de estados, o porquê, "
      + "as três tarefas do modelo, o custo e o que a barreira de regras encontrou.",
    writeHere: "Escreva uma mensagem", send: "Enviar", you: "Você", assistant: "Atendimento",
    typing: "digitando…", queued: "na fila…",
    sandbox: "Quem responde é um modelo de testes. Para um de verdade, defina ANTHROPIC_API_KEY.",
    lineLost: "Sem conexão com o servidor. Tentando de novo…",
    sending: "enviando", sent: "recebida", answered: "respondida", failed: "não enviada",
    retry: "Tentar de novo", notSent: "A mensagem não foi enviada.", notAnswered: "O turno falhou e não houve resposta.",
    silent: "Sem resposta: a mensagem ficou registrada.",
    silentESCALATING: "Sem resposta automática: a conversa está com uma pessoa da equipe.",
    silentSPAM: "Sem resposta: a conversa foi marcada como spam.",
    elsewhere: "O que foi escrito em outro navegador não aparece aqui.",
    options: "Opções", openFile: "Abrir arquivo", openMap: "Ver no mapa",
    IMAGE: "Imagem", VIDEO: "Vídeo", AUDIO: "Áudio", DOCUMENT: "Documento", LOCATION: "Localização",
    CONTACT: "Contato", TEMPLATE: "Modelo aprovado", REACTION: "Reação",
    noTurn: "Ainda não há turno", noTurnText: "Envie uma mensagem para ver como ela é respondida.",
    closed: "Os bastidores estão fechados neste endereço. A conversa funciona normalmente.",
    unavailable: "Os bastidores não responderam.", turn: "Turno {n} de {of}", running: "Turno em andamento…",
    turnBefore: "Turno anterior", turnAfter: "Turno seguinte", inspect: "Ver o turno {n} por dentro",
    why: "Por quê", trigger: "Gatilho", confidence: "Confiança", intent: "Intenção", line: "Linha de negócio",
    waiting_for: "Espera", reason: "Motivo", fallback: "Texto de reserva", yes: "sim",
    delivery: "Entrega", attempts: "Tentativas",
    tasks: "Tarefas do modelo", noTasks: "Nenhuma: uma regra resolveu o turno sem o modelo.",
    state: "1 · Estado", response: "2 · Resposta", message_type: "3 · Forma", judge: "Juiz", rewrite: "2 · Reescrita",
    parallel: "2 e 3 correram em paralelo por {ms}.", total: "Turno inteiro: {ms}.", calls: "{n} chamadas",
    cost: "Tokens e custo", perTurn: "turno", perConversation: "conversa", input: "entrada", output: "saída",
    cache_read: "do cache", cache_write: "ao cache", usd: "US$", unknownPrice: "?",
    gate: "Barreira de regras", clean: "Nada encontrado.", draft: "rascunho {n}",
    fields: "O que já se sabe", noFields: "Nada ainda.", json: "JSON do turno",
    engine: "motor", model: "modelo", operator: "pessoa", timer: "tempo",
    samples: ["Oi, bom dia", "Como funciona {0}?", "Quanto custa?", "Quero falar com uma pessoa"],
    deliveries: { pending: "pendente", sending: "enviando", sent: "enviada", delivered: "entregue", read: "lida",
      failed: "falhou" },
    waiting: { anything: "qualquer coisa", identification: "identificação", clarification: "esclarecimento",
      field: "um dado", choice: "uma escolha" },
    reasons: { decided: "o modelo decidiu", unclear: "pouca confiança: pergunta o que se quis dizer",
      gate: "barrado duas vezes: segue com uma pessoa", model_unavailable: "modelo fora do ar",
      model_output_unusable: "saída do modelo inutilizável", unreadable: "mensagem sem texto legível",
      opt_out: "pediu para não receber", opt_in: "voltou a receber", flood: "mensagens demais", automaton: "outro robô do outro lado: chama uma pessoa e cala",
      hold: "já está com uma pessoa", satisfied: "disse que foi ajudada", unsatisfied: "disse que não foi ajudada", scored: "deu uma nota", record: "só registrada", dead_letter: "desistiu após as tentativas" },
    rules: { price: "preço", closing: "fechamento", never: "lista do nunca", promise: "promessa", link: "link",
      personal_data: "dado pessoal", prompt_leak: "vazamento do prompt", unsupported_number: "número sem fonte",
      unsupported_name: "nome sem fonte", unsupported_hours: "horário sem fonte", unsupported_date: "data sem fonte",
      unsupported_percentage: "porcentagem sem fonte", unsupported_code: "código sem fonte", unreadable: "ilegível",
      source_missing: "fonte ausente", unsupported: "afirmação sem fonte", contradicts: "contradiz os documentos",
      verdict_unusable: "veredito inutilizável", empty: "vazio", too_long: "longo demais" },
    states: { INIT: "início", IDENTIFYING: "identificando", UNDERSTANDING_INTENT: "entendendo a intenção",
      PROCESSING: "processando", GENERATING_RESPONSE: "escrevendo a resposta",
      SELECTING_MESSAGE_TYPE: "escolhendo a forma", AWAITING_USER: "aguardando a pessoa",
      ESCALATING: "com a equipe", COMPLETED: "encerrada", FAILED: "falhou", SPAM: "spam" },
  },
  en: {
    viewChat: "Chat", viewInspector: "Behind it", newConversation: "New conversation",
    conversation: "Conversation", messages: "Messages", machine: "State machine", inspector: "Inside the turn",
    welcomeTitle: "Write as a customer would.",
    welcomeText: "Beside the chat you see what happens behind each reply: the way through the state machine, the why, "
      + "the model's three tasks, the cost and what the guardrail gate found.",
    writeHere: "Write a message", send: "Send", you: "You", assistant: "Assistant",
    typing: "typing…", queued: "queued…",
    sandbox: "A sandbox model answers. For a real one, set ANTHROPIC_API_KEY.",
    lineLost: "No connection to the server. Trying again…",
    sending: "sending", sent: "received", answered: "answered", failed: "not sent",
    retry: "Try again", notSent: "The message was not sent.", notAnswered: "The turn failed; there is no reply.",
    silent: "No reply: the message was recorded.",
    silentESCALATING: "No automatic reply: a person of the team has the conversation.",
    silentSPAM: "No reply: the conversation was marked as spam.",
    elsewhere: "What was written in another browser is not shown here.",
    options: "Options", openFile: "Open file", openMap: "See on a map",
    IMAGE: "Image", VIDEO: "Video", AUDIO: "Audio", DOCUMENT: "Document", LOCATION: "Location",
    CONTACT: "Contact", TEMPLATE: "Approved template", REACTION: "Reaction",
    noTurn: "No turn yet", noTurnText: "Send a message to see how it is answered.",
    closed: "What happens inside is closed at this address. The chat works as usual.",
    unavailable: "The console did not answer.", turn: "Turn {n} of {of}", running: "Turn running…",
    turnBefore: "Turn before", turnAfter: "Turn after", inspect: "See turn {n} from inside",
    why: "Why", trigger: "Trigger", confidence: "Confidence", intent: "Intent", line: "Business line",
    waiting_for: "Waits for", reason: "Reason", fallback: "Fallback text", yes: "yes",
    delivery: "Delivery", attempts: "Attempts",
    tasks: "Prompt tasks", noTasks: "None: a rule settled the turn without the model.",
    state: "1 · State", response: "2 · Response", message_type: "3 · Form", judge: "Judge", rewrite: "2 · Rewrite",
    parallel: "2 and 3 ran in parallel for {ms}.", total: "Whole turn: {ms}.", calls: "{n} calls",
    cost: "Tokens and cost", perTurn: "turn", perConversation: "conversation", input: "input", output: "output",
    cache_read: "cache read", cache_write: "cache write", usd: "USD", unknownPrice: "?",
    gate: "Guardrail gate", clean: "Nothing found.", draft: "draft {n}",
    fields: "Known so far", noFields: "Nothing yet.", json: "JSON of the turn",
    engine: "engine", model: "model", operator: "person", timer: "time",
    samples: ["Hi, good morning", "How does {0} work?", "How much is it?", "I want to talk to a person"],
    deliveries: { pending: "pending", sending: "sending", sent: "sent", delivered: "delivered", read: "read",
      failed: "failed" },
    waiting: { anything: "anything", identification: "identification", clarification: "clarification",
      field: "a field", choice: "a choice" },
    reasons: { decided: "the model decided", unclear: "low confidence: asks what was meant",
      gate: "blocked twice: goes to a person", model_unavailable: "model unavailable",
      model_output_unusable: "unusable model output", unreadable: "nothing readable in the message",
      opt_out: "opted out", opt_in: "opted in", flood: "too many messages", automaton: "an automaton on the other side: hands over, then silence",
      hold: "a person has it already", satisfied: "said it helped", unsatisfied: "said it did not help", scored: "gave a score", record: "recorded only", dead_letter: "given up after the attempts" },
    rules: { price: "price", closing: "closing", never: "never list", promise: "promise", link: "link",
      personal_data: "personal data", prompt_leak: "prompt leak", unsupported_number: "number without a source",
      unsupported_name: "name without a source", unsupported_hours: "hours without a source",
      unsupported_date: "date without a source", unsupported_percentage: "percentage without a source",
      unsupported_code: "code without a source", unreadable: "unreadable", source_missing: "source missing",
      unsupported: "statement without a source", contradicts: "contradicts the documents",
      verdict_unusable: "unusable verdict", empty: "empty", too_long: "too long" },
    states: { INIT: "start", IDENTIFYING: "identifying", UNDERSTANDING_INTENT: "understanding the intent",
      PROCESSING: "processing", GENERATING_RESPONSE: "writing the reply", SELECTING_MESSAGE_TYPE: "choosing the form",
      AWAITING_USER: "waiting for the person", ESCALATING: "with the team", COMPLETED: "closed", FAILED: "failed",
      SPAM: "spam" },
  },
};

let language = "pt-BR";
let words = WORDS.pt;

const shortName = (chosen) => (chosen.toLowerCase().startsWith("pt") ? "pt" : "en");

function speak(chosen) {
  language = { pt: "pt-BR", en: "en" }[shortName(chosen)];
  words = WORDS[shortName(chosen)];
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = words[node.dataset.text];
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", words[node.dataset.label]);
  for (const node of document.querySelectorAll("[data-placeholder]")) node.placeholder = words[node.dataset.placeholder];
}

const filled = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const number = (value, digits = 0) => value.toLocaleString(language, { maximumFractionDigits: digits });
const clock = (at) => new Date(at).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });

function duration(ms) {
  if (ms >= 1000) return `${(ms / 1000).toLocaleString(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 })} s`;
  return `${number(ms, ms < 10 ? 1 : 0)} ms`;
}

function money(usd) {
  return usd.toLocaleString(language, { minimumFractionDigits: 5, maximumFractionDigits: 5 });
}

// The console's switch of themes holds here, too.
document.documentElement.dataset.theme = document.cookie.match(/prosa_theme=(light|dark)/)?.[1] ?? "";

// -- Elements ---------------------------------------------------------------------------------------------------------

const $ = (id) => document.getElementById(id);

/** An element with a class, properties, `data-` values and children; strings become text nodes. */
function make(tag, className, properties = {}, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  const { data, aria, role, ...plain } = properties;
  Object.assign(node, plain);
  Object.assign(node.dataset, data);
  for (const [name, value] of Object.entries(aria ?? {})) node.setAttribute(`aria-${name}`, value);
  if (role) node.setAttribute("role", role);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// -- The conversation and what this browser keeps of it ---------------------------------------------------------------

const CONVERSATION_NAME = /^[A-Za-z0-9._~-]{1,64}$/;

/* Entries in the order in which they are shown: {kind: "mine" | "reply" | "note", id, at, turn, ...}. */
let conversation = null;
let about = { institution: null, lines: {}, fields: {} };

function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // over plain HTTP a browser has no randomUUID
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function kept(name) {
  try {
    return JSON.parse(localStorage.getItem(`prosa:${name}`) ?? "[]");
  } catch {
    return [];
  }
}

/** The person's texts with their place among the replies; the replies' words stay on the server. */
function keep() {
  const entries = conversation.entries.map(({ kind, id, at, turn, text, status, problem, state }) =>
    kind === "reply" ? { kind, id, at, turn } : { kind, id, at, turn, text, status, problem, state });
  try {
    localStorage.setItem("prosa:last", conversation.name);
    if (entries.length) localStorage.setItem(`prosa:${conversation.name}`, JSON.stringify(entries));
  } catch {
    // A full or forbidden store costs the reload its texts, nothing else.
  }
}

function nameFromAddress() {
  const name = decodeURIComponent(location.hash.slice(1));
  return CONVERSATION_NAME.test(name) && name !== "last" ? name : null;
}

function lastName() {
  try {
    return localStorage.getItem("prosa:last");
  } catch {
    return null;
  }
}

function open(name) {
  conversation?.stream?.close();
  conversation = {
    name,
    entries: kept(name),
    turns: [],
    detail: null,
    selected: null,
    live: null,
    asked: 0,
    answered: 0,
    forming: null,
    stream: null,
    watching: false,
    loading: null,
    failure: null,
  };
  if (nameFromAddress() !== name) history.replaceState(null, "", `#${name}`);
  $("entries").replaceChildren();
  $("elsewhere").hidden = true;
  machine.reset();
  for (const entry of conversation.entries) showEntry(entry);
  showForming();
  keep();
  listen();
  refresh();
  showTurn();
  showStanding();
  scrollDown();
  for (const entry of conversation.entries) if (entry.kind === "mine" && entry.status === "sending") deliver(entry);
  watch();
}

// -- Sending ----------------------------------------------------------------------------------------------------------

const RETRY_MS = [800, 2000, 4000, 8000];

function write(text) {
  const entry = { kind: "mine", id: newId(), at: Date.now(), turn: null, text, status: "sending" };
  add(entry);
  scrollDown();
  return deliver(entry);
}

/** Bring one message to the server. Every attempt carries the same id, so that none is taken for another message. */
async function deliver(entry) {
  const here = conversation;
  change(entry, { status: "sending", problem: null });
  for (const wait of [...RETRY_MS, null]) {
    const answer = await post(here.name, entry);
    if (here === conversation) lineIsLost(!answer.accepted && !answer.problem);
    if (answer.accepted) {
      change(entry, { status: "sent" }, here);
      return watch(here);
    }
    if (answer.isFinal || wait === null) return change(entry, { status: "failed", problem: answer.problem }, here);
    await pause(answer.retryAfterMs ?? wait);
  }
}

async function post(name, { id, text }) {
  try {
    const answer = await fetch(`/chat/${name}/messages`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ id, text }),
    });
    if (answer.ok) return { accepted: true };
    const problem = (await answer.json().catch(() => ({}))).detail ?? `HTTP ${answer.status}`;
    const retryAfter = Number(answer.headers.get("Retry-After"));
    const isFinal = answer.status < 500 && answer.status !== 429;
    return { accepted: false, isFinal, problem, retryAfterMs: retryAfter ? retryAfter * 1000 : null };
  } catch {
    return { accepted: false, isFinal: false, problem: null };
  }
}

/** Ask after the oldest message without an outcome until there is none; the reply itself comes as an event. */
async function watch(here = conversation) {
  if (here.watching) return;
  here.watching = true;
  try {
    for (let misses = 0; here === conversation && misses < 6; ) {
      const entry = here.entries.find(({ kind, status }) => kind === "mine" && status === "sent");
      if (!entry) break;
      const found = await statusOf(here.name, entry.id);
      if (found.turn_id) {
        settle(here, entry, found);
        misses = 0;
      } else if (!found.status) {
        misses += 1;
        await pause(1000 * misses);
      }
    }
  } finally {
    here.watching = false;
  }
}

async function statusOf(name, id) {
  try {
    const answer = await fetch(`/chat/${name}/messages/${id}?wait=20`);
    return answer.ok ? await answer.json() : {};
  } catch {
    return {};
  }
}

async function settle(here, entry, found) {
  const isLost = found.status === "failed" && !found.reply;
  change(entry, { status: isLost ? "lost" : "answered", turn: found.turn_id }, here);
  refresh();
  const ofTurn = (shown) => shown.turn === found.turn_id && shown.kind !== "mine";
  if (!found.reply && !isLost && !here.entries.some(ofTurn)) {
    add({ kind: "note", id: `${found.turn_id}/note`, at: Date.parse(found.at), turn: found.turn_id, state: found.state }, here);
  } else if (found.reply) {
    await pause(1500); // the event is usually here by now
    if (!here.entries.some((shown) => ofTurn(shown) && shown.reply)) {
      addReply(here, { id: `${found.turn_id}/status`, turn: found.turn_id, reply: found.reply });
    }
  }
}

// -- Listening --------------------------------------------------------------------------------------------------------

function listen() {
  const here = conversation;
  const stream = new EventSource(`/chat/${here.name}/events`);
  here.stream = stream;
  stream.addEventListener("open", () => lineIsLost(false));
  stream.addEventListener("error", (event) => {
    if (event.data !== undefined || here !== conversation) return; // an event of that name, not a lost line
    lineIsLost(true);
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => here === conversation && listen(), 3000);
  });
  stream.addEventListener("state", (event) => onState(here, JSON.parse(event.data)));
  stream.addEventListener("token", (event) => onToken(here, JSON.parse(event.data)));
  stream.addEventListener("reply", (event) => addReply(here, JSON.parse(event.data)));
}

function lineIsLost(isLost) {
  $("line-lost").textContent = isLost ? words.lineLost : "";
  $("line-lost").hidden = !isLost;
}

function onState(here, { state, path, turn }) {
  if (here !== conversation) return;
  if (here.turns.some((known) => known.id === turn)) return; // its record, read meanwhile, says more
  here.live = { state, path, turn };
  here.selected = turn;
  machine.walk(path, turn);
  showTurn();
  showStanding();
}

/** A reply while it forms, sentence by sentence: index 0 begins anew, the reply itself takes the place of all of it. */
function onToken(here, { turn, index, text }) {
  if (here !== conversation || here.entries.some((entry) => entry.turn === turn && entry.reply)) return;
  if (index === 0) here.forming = { turn, index: 0, text: "" };
  if (here.forming?.turn !== turn || here.forming.index !== index) return; // a piece was lost: the reply will say it
  here.forming.text += text;
  here.forming.index += 1;
  showForming();
}

function showForming() {
  const { forming } = conversation;
  const isAtEnd = isScrolledDown();
  $("forming").hidden = !forming;
  $("forming-text").textContent = forming?.text ?? "";
  if (forming && isAtEnd) scrollDown();
}

/** A reply may come twice, as an event and after a reload or a lost line: its id tells. */
function addReply(here, { id, turn, reply }) {
  if (here !== conversation) return;
  const known = here.entries.find((entry) => entry.id === id);
  if (known?.reply) return;
  here.forming = null;
  showForming();
  const stopgap = here.entries.find((entry) => entry.id === `${turn}/status`);
  if (stopgap && stopgap.id !== id) remove(here, stopgap);
  if (known) {
    known.reply = reply;
    showEntry(known);
  } else {
    add({ kind: "reply", id, at: Date.now(), turn, reply }, here);
  }
  if (!here.turns.some((shown) => shown.id === turn)) refresh();
  showStanding();
}

// -- The console ------------------------------------------------------------------------------------------------------

/** Read the turns again; calls that come while one is under way share the next one. */
function refresh() {
  const here = conversation;
  const mayExist = here.entries.some(({ status, turn }) => turn || status === "sent" || status === "answered");
  if (!mayExist) return;
  if (here.loading) {
    here.again = true;
    return;
  }
  here.loading = readTurns(here).finally(() => {
    here.loading = null;
    if (here.again) {
      here.again = false;
      if (here === conversation) refresh();
    }
  });
}

async function readTurns(here) {
  const asked = (here.asked += 1);
  let answer, detail;
  try {
    answer = await fetch(`/api/v1/conversations/web:${here.name}`);
    detail = answer.ok ? await answer.json() : null;
  } catch {
    here.failure = "unavailable";
    return;
  }
  // Of two answers under way the older may come last: it would hide the newest turn, and then undo what a person chose.
  if (here !== conversation || asked < here.answered) return;
  here.answered = asked;
  here.failure = answer.status === 401 || answer.status === 403 ? "closed" : null;
  if (!answer.ok) return showTurn();
  here.detail = detail;
  here.turns = here.detail.turns.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  nameTurns(here);
  const newest = here.turns.at(-1);
  if (here.live && here.turns.some((turn) => turn.id === here.live.turn)) here.live = null;
  if (!here.selected || (newest && here.follows !== newest.id && !here.live)) here.selected = newest?.id ?? null;
  here.follows = newest?.id;
  showTurn();
}

/** A turn's number in the conversation, from 1; null while the console has not told of it. */
function numberOf(turnId, here = conversation) {
  const index = here.turns.findIndex((turn) => turn.id === turnId);
  // A hand-back is a record, too, and no turn of the count; the list has the newest records.
  return index < 0 ? null : Math.max(here.detail.conversation.turns - here.turns.length, 0) + index + 1;
}

/** Tell each of the person's messages its turn, and each reply the time the server wrote it. */
function nameTurns(here) {
  const turnOf = new Map(here.turns.flatMap((turn) => turn.message_ids.map((id) => [id, turn])));
  const byId = new Map(here.turns.map((turn) => [turn.id, turn]));
  for (const entry of here.entries) {
    const turn = entry.kind === "mine" ? turnOf.get(entry.id) : byId.get(entry.turn);
    if (!turn) continue;
    const at = entry.kind === "mine" ? entry.at : Date.parse(turn.at);
    const isNumbered = document.getElementById(`entry-${entry.id}`)?.querySelector(".inspect");
    if (isNumbered && entry.turn === turn.id && entry.at === at) continue;
    Object.assign(entry, { turn: turn.id, at });
    showEntry(entry);
  }
  $("elsewhere").hidden = here.turns.length === 0 || here.entries.some(({ kind }) => kind === "mine");
  keep();
}

async function readAbout() {
  try {
    const answer = await fetch("/console/about");
    if (answer.ok) about = { ...about, ...(await answer.json()) };
  } catch {
    // The chat works without it.
  }
  speak(document.cookie.match(/prosa_language=([\w-]+)/)?.[1] ?? navigator.language);
  $("institution").textContent = about.institution ?? "";
  document.title = about.institution ? `${about.institution} · Prosa` : "Prosa";
  $("sandbox").textContent = words.sandbox;
  $("sandbox").hidden = !about.sandbox_model;
  const [firstLine] = Object.values(about.lines ?? {});
  const phrases = WORDS[shortName(about.language ?? language)].samples.filter((phrase) => firstLine || !phrase.includes("{0}"));
  $("samples").replaceChildren(...phrases.map((phrase) => optionButton(filled(phrase, [firstLine]))));
}

// -- The chat ---------------------------------------------------------------------------------------------------------

function add(entry, here = conversation) {
  if (here !== conversation) return;
  here.entries.push(entry);
  showEntry(entry);
  keep();
}

function remove(here, entry) {
  here.entries.splice(here.entries.indexOf(entry), 1);
  document.getElementById(`entry-${entry.id}`)?.remove();
}

function change(entry, values, here = conversation) {
  Object.assign(entry, values);
  if (here !== conversation) return;
  showEntry(entry);
  showStanding();
  keep();
}

/** Draw an entry, in the place of its earlier drawing where there is one. */
function showEntry(entry) {
  const id = `entry-${entry.id}`;
  const before = document.getElementById(id);
  if (entry.kind === "reply" && !entry.reply) {
    if (!before) $("entries").append(make("li", "entry", { id, hidden: true }));
    return;
  }
  if (entry.kind === "reply" && before && !before.hidden) {
    // Only its time or turn is new: drawing it again would be read out again, and would take the focus away.
    before.querySelector(".stamp").replaceWith(stamp(entry));
    before.classList.toggle("has-turn", numberOf(entry.turn) !== null);
    return;
  }
  const isAtEnd = isScrolledDown();
  const node = { mine: drawMine, reply: drawReply, note: drawNote }[entry.kind](entry);
  node.id = id;
  node.classList.toggle("has-turn", numberOf(entry.turn) !== null);
  node.classList.toggle("chosen", Boolean(entry.turn) && entry.turn === conversation.selected);
  if (entry.turn) node.dataset.turn = entry.turn;
  if (before) before.replaceWith(node);
  else $("entries").append(node);
  if (isAtEnd) scrollDown();
}

function drawMine(entry) {
  const isLost = entry.status === "failed" || entry.status === "lost";
  const trouble = isLost && make("div", "trouble", { role: "alert" },
    make("span", "", {}, entry.status === "lost" ? words.notAnswered : words.notSent,
      entry.problem ? ` ${entry.problem}` : ""),
    make("button", "link", { type: "button", onclick: () => tryAgain(entry) }, words.retry));
  return make("li", `entry mine${isLost ? " failed" : ""}`, { aria: { live: "off" } },
    make("div", "bubble", {}, make("span", "hidden", {}, `${words.you}: `), make("p", "words", {}, entry.text),
      stamp(entry, deliveryMark(entry.status))),
    trouble || null);
}

function deliveryMark(status) {
  const marks = { sending: "○", sent: "✓", answered: "✓✓", failed: "!", lost: "!" };
  const meaning = words[status === "lost" ? "failed" : status];
  return make("span", `mark ${status}`, { title: meaning },
    make("span", "", { aria: { hidden: "true" } }, marks[status]), make("span", "hidden", {}, meaning));
}

/** The same message again while the server has not seen it; after a failed turn its id is spent. */
function tryAgain(entry) {
  if (entry.status === "failed") return deliver(entry);
  remove(conversation, entry);
  return write(entry.text);
}

function drawReply(entry) {
  const { reply } = entry;
  return make("li", "entry theirs", {},
    make("div", "bubble", {}, make("span", "hidden", {}, `${words.assistant}: `),
      attachment(reply), reply.text ? make("p", "words", {}, reply.text) : null, stamp(entry)),
    choices(reply));
}

function drawNote(entry) {
  const text = words[`silent${entry.state}`] ?? words.silent;
  return make("li", "entry note", {}, make("p", "", {}, text, " ", stamp(entry)));
}

/** Time of a bubble; where the turn is known, the button that shows it from inside. */
function stamp(entry, mark = null) {
  const time = make("time", "", { dateTime: new Date(entry.at).toISOString() }, clock(entry.at));
  const n = numberOf(entry.turn);
  if (n === null) return make("span", "stamp", {}, time, mark);
  const label = filled(words.inspect, { n });
  const onclick = () => inspect(entry.turn);
  return make("span", "stamp", {},
    make("button", "inspect", { type: "button", title: label, onclick, aria: { label } }, `#${n}`),
    time, mark);
}

function choices(reply) {
  if (reply.buttons) {
    return make("div", "buttons", { role: "group", aria: { label: words.options } },
      reply.buttons.map(({ title }) => optionButton(title)));
  }
  if (!reply.rows) return null;
  return make("div", "rows", { role: "group", aria: { label: reply.list_label || words.options } },
    make("p", "rows-label", { aria: { hidden: "true" } }, reply.list_label || words.options),
    reply.rows.map(({ title, description }) => optionButton(title, description)));
}

function optionButton(title, description = "") {
  return make("button", "option", { type: "button", onclick: () => { write(title); focusComposer(); } },
    make("span", "", {}, title), description ? make("small", "", {}, description) : null);
}

function attachment(reply) {
  if (reply.location) {
    const { latitude, longitude, name, address } = reply.location;
    const href = `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=16/${latitude}/${longitude}`;
    return card("⌖", name || words.LOCATION, [address, `${number(latitude, 5)}, ${number(longitude, 5)}`], href, words.openMap);
  }
  if (reply.contact) {
    const { name, organization, phone } = reply.contact;
    return card("☎", name, [organization], `tel:${phone.replace(/[^\d+]/g, "")}`, phone);
  }
  if (reply.media) {
    const { link, filename } = reply.media;
    return card("⎙", filename || words[reply.type] || reply.type, [filename ? words[reply.type] : ""], link, words.openFile);
  }
  if (reply.template) return card("❏", words.TEMPLATE, [reply.template.name, (reply.template.parameters ?? []).join(" · ")]);
  if (reply.reaction) return make("p", "words", { title: words.REACTION }, reply.reaction.emoji || "–");
  return null;
}

function card(symbol, title, lines, href = null, linkText = "") {
  const isSafe = href && /^(https?:|tel:)/i.test(href);
  return make("div", "card", {},
    make("span", "card-symbol", { aria: { hidden: "true" } }, symbol),
    make("div", "", {}, make("strong", "", {}, title), lines.filter(Boolean).map((line) => make("small", "", {}, line)),
      isSafe ? make("a", "", { href, target: "_blank", rel: "noopener noreferrer" }, linkText) : null));
}

/** What stands around the bubbles: the welcome, the sign that an answer is on its way. */
function showStanding() {
  const { entries, live } = conversation;
  $("welcome").hidden = entries.length > 0;
  const isWaiting = entries.some(({ kind, status }) => kind === "mine" && status === "sent");
  const wasHidden = $("typing").hidden;
  const isAtEnd = isScrolledDown();
  $("typing").hidden = !isWaiting;
  $("typing-text").textContent = live ? words.typing : words.queued;
  if (wasHidden && isWaiting && isAtEnd) scrollDown();
}

function isScrolledDown() {
  const log = $("log");
  return log.scrollHeight - log.scrollTop - log.clientHeight < 80;
}

function scrollDown() {
  requestAnimationFrame(() => { $("log").scrollTop = $("log").scrollHeight; });
}

function focusComposer() {
  if (matchMedia("(hover: hover)").matches) $("text").focus(); // a phone would open its keyboard over the reply
}

// -- The state machine ------------------------------------------------------------------------------------------------

const STEP_MS = 170;
const RESTING = new Set(["AWAITING_USER", "ESCALATING", "COMPLETED", "FAILED", "SPAM"]);

const machine = {
  picture: null,
  shown: { turn: null, path: [] },
  run: 0,

  async load() {
    const answer = await fetch("/static/fsm.svg");
    if (!answer.ok) return;
    // Its own style is for a picture that stands alone; here the page's sheet, the only one its policy allows, does it.
    const source = (await answer.text()).replace(/<style>.*?<\/style>/s, "");
    const parsed = new DOMParser().parseFromString(source, "image/svg+xml");
    for (const legend of parsed.querySelectorAll("[data-legend] text")) {
      legend.textContent = words[legend.parentNode.dataset.legend] ?? legend.textContent;
    }
    this.picture = document.adoptNode(parsed.documentElement);
    $("picture").replaceChildren(this.picture);
    const { turn, path } = this.shown;
    this.shown = { turn: null, path: [] };
    this.show(path, turn);
  },

  reset() {
    this.run += 1;
    this.shown = { turn: null, path: [] };
    this.clear();
  },

  clear() {
    $("now").textContent = "";
    for (const node of this.picture?.querySelectorAll(".passed, .current, .taken, .badge") ?? []) {
      if (node.classList.contains("badge")) node.remove();
      else node.classList.remove("passed", "current", "taken");
    }
  },

  /** The whole path at once. */
  show(path, turn) {
    if (this.shown.turn === turn && this.shown.path.join() === path.join()) return;
    this.run += 1;
    this.shown = { turn, path };
    this.clear();
    path.forEach((_, step) => this.mark(path, step));
  },

  /** Step by step: what is new of this turn's path is walked, what was walked stays. */
  async walk(path, turn) {
    if (calm.matches) return this.show(path, turn);
    const isSame = this.shown.turn === turn && path.slice(0, this.shown.path.length).join() === this.shown.path.join();
    if (isSame) {
      this.shown.path = path;
      return; // the walk under way goes on along the longer path
    }
    this.shown = { turn, path };
    this.run += 1;
    const run = this.run;
    this.clear();
    for (let step = 0; run === this.run; ) {
      if (step < this.shown.path.length) this.mark(this.shown.path, step++);
      else if (RESTING.has(this.shown.path.at(-1))) return;
      await pause(STEP_MS);
    }
  },

  mark(path, step) {
    const state = path[step];
    $("now").textContent = words.states[state] ?? state;
    if (!this.picture) return;
    for (const node of this.picture.querySelectorAll(".current")) node.classList.remove("current");
    const group = this.picture.querySelector(`#state-${state}`);
    group?.classList.add("passed", "current");
    if (group && path.length > 1) this.number(group, step + 1);
    if (step === 0) return;
    const moves = [...this.picture.querySelectorAll(`.move[data-source="${path[step - 1]}"][data-dest="${state}"]`)];
    (moves.find((move) => !move.classList.contains("by-timer")) ?? moves[0])?.classList.add("taken");
  },

  number(group, count) {
    const known = group.querySelector(".badge text");
    const text = known ? `${known.textContent}·${count}` : String(count);
    group.querySelector(".badge")?.remove();
    const { x, y } = group.querySelector(".box").getBBox();
    const width = text.length > 1 ? 8 + text.length * 5.6 : 17;
    group.append(svgNode("g", { class: "badge" },
      svgNode("rect", { x: x - width / 2, y: y - 8.5, width, height: 17, rx: 8.5 }),
      svgNode("text", { x, y: y + 3.6, "text-anchor": "middle" }, text)));
  },
};

function svgNode(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// -- Inside the turn --------------------------------------------------------------------------------------------------

function inspect(turn) {
  conversation.selected = turn;
  showTurn();
}

function showTurn() {
  const { turns, selected, live, failure } = conversation;
  for (const node of document.querySelectorAll(".entry")) {
    node.classList.toggle("chosen", Boolean(selected) && node.dataset.turn === selected);
  }
  const index = turns.findIndex((turn) => turn.id === selected);
  const isLive = Boolean(live) && live.turn === selected;
  $("turn-before").disabled = index < 1 && !(isLive && turns.length);
  $("turn-after").disabled = index < 0 || index === turns.length - 1;
  const turn = turns[index];
  if (turn) {
    $("turn-title").textContent = filled(words.turn, { n: numberOf(turn.id), of: numberOf(turns.at(-1).id) });
    const isUnderWay = machine.shown.turn === turn.id && machine.shown.path.join() === turn.path.join();
    if (!isUnderWay) machine.show(turn.path, turn.id);
    $("turn").replaceChildren(...turnSections(turn));
    return;
  }
  $("turn-title").textContent = isLive ? words.running : failure ? words.inspector : words.noTurn;
  const explanation = failure ? words[failure] : isLive ? "" : words.noTurnText;
  $("turn").replaceChildren(explanation ? make("p", "empty", {}, explanation) : skeleton());
}

function skeleton() {
  return make("div", "skeleton", { aria: { hidden: "true" } }, make("i"), make("i"), make("i"), make("i"));
}

function step(by) {
  const { turns, selected } = conversation;
  const index = turns.findIndex((turn) => turn.id === selected);
  const next = turns[(index < 0 ? turns.length : index) + by];
  if (next) inspect(next.id);
}

function turnSections(turn) {
  return [
    section(words.why, why(turn)),
    section(words.tasks, timeline(turn)),
    section(words.cost, costs(turn)),
    section(words.gate, findings(turn)),
    section(words.fields, fields()),
    make("details", "raw", {}, make("summary", "", {}, words.json), make("pre", "", { tabIndex: 0 }, JSON.stringify(turn, null, 2))),
  ];
}

const section = (title, ...content) => make("section", "block", {}, make("h3", "", {}, title), ...content);

function why(turn) {
  const rows = [
    [words.trigger, turn.trigger && make("code", "", {}, turn.trigger)],
    [words.confidence, turn.confidence === null ? null : confidence(turn.confidence)],
    [words.intent, turn.intent && make("code", "", {}, turn.intent)],
    [words.line, turn.business_line && (about.lines[turn.business_line] ?? turn.business_line)],
    [words.waiting_for, words.waiting[turn.waiting_for] ?? turn.waiting_for],
    [words.reason, words.reasons[turn.reason] ?? turn.reason],
    [words.fallback, turn.fallback ? make("span", "warn", {}, words.yes) : null],
    [words.attempts, turn.attempts > 1 ? number(turn.attempts) : null],
    [words.delivery, delivery(turn)],
  ];
  return make("dl", "facts", {}, rows.filter(([, value]) => value).flatMap(([name, value]) =>
    [make("dt", "", {}, name), make("dd", "", {}, value)]));
}

function confidence(value) {
  const percent = Math.round(value * 100);
  const bar = make("span", "meter", { role: "meter",
    aria: { label: words.confidence, valuemin: 0, valuemax: 100, valuenow: percent } }, make("i"));
  bar.firstChild.style.width = `${percent}%`;
  return make("span", "confidence", {}, bar, `${percent}%`);
}

function delivery(turn) {
  const rows = conversation.detail.outbox.filter((row) => row.turn_id === turn.id);
  return rows.map(({ state, error_code: code }) => `${words.deliveries[state] ?? state}${code ? ` (${code})` : ""}`).join(", ");
}

/** Each prompt task as a bar from its start to its end; what ran at the same time lies one below the other. */
function timeline(turn) {
  if (!turn.tasks.length) return make("p", "empty", {}, words.noTasks);
  const whole = Math.max(turn.ms.total, ...turn.tasks.map((task) => task.ended_ms), 1);
  const seen = new Set();
  const bars = turn.tasks.map((task) => {
    const isRewrite = seen.has(task.task);
    seen.add(task.task);
    return taskRow(task, isRewrite ? words.rewrite : words[task.task] ?? task.task, whole, isRewrite);
  });
  const axis = make("div", "axis", { aria: { hidden: "true" } },
    make("span", "", {}, "0"), make("span", "", {}, duration(whole / 2)), make("span", "", {}, duration(whole)));
  const shared = overlap(turn.tasks);
  const models = [...new Set(turn.tasks.map((task) => task.model))].join(", ");
  const end = make("p", "hint", {}, filled(words.total, { ms: duration(turn.ms.total) }),
    shared > 0 ? ` ${filled(words.parallel, { ms: duration(shared) })}` : "", make("br"), models);
  return make("div", "timeline", { data: { total: whole } }, bars, axis, end);
}

function taskRow(task, label, whole, isRewrite) {
  const took = duration(task.ended_ms - task.started_ms);
  const bar = make("i", `bar ${task.task}${task.outcome === "ok" ? "" : " troubled"}`);
  bar.style.left = `${(task.started_ms / whole) * 100}%`;
  bar.style.width = `${((task.ended_ms - task.started_ms) / whole) * 100}%`;
  const extras = [task.outcome === "ok" ? "" : task.outcome, task.calls > 1 ? filled(words.calls, { n: task.calls }) : ""];
  const data = { task: task.task, started: task.started_ms, ended: task.ended_ms, rewrite: isRewrite };
  return make("div", "task", { data, title: `${task.template} · ${task.model}` },
    make("span", "task-name", {}, label),
    make("span", "track", {}, bar),
    make("span", "task-ms", {}, took),
    make("small", "task-details", {}, [...extras, task.template.split("@")[0]].filter(Boolean).join(" · ")));
}

function overlap(tasks) {
  const [one, other] = ["response", "message_type"].map((name) => tasks.find((task) => task.task === name));
  return one && other ? Math.min(one.ended_ms, other.ended_ms) - Math.max(one.started_ms, other.started_ms) : 0;
}

const TOKEN_KINDS = ["input", "cache_read", "cache_write", "output"];

function costs(turn) {
  const { turns } = conversation;
  const all = Object.fromEntries(TOKEN_KINDS.map((kind) => [kind, turns.reduce((sum, { tokens }) => sum + tokens[kind], 0)]));
  const known = turns.filter(({ cost_usd }) => cost_usd !== null);
  const sum = known.length ? known.reduce((usd, { cost_usd }) => usd + Number(cost_usd), 0) : null;
  const cost = turn.cost_usd === null ? null : Number(turn.cost_usd);
  const columns = [...TOKEN_KINDS, "usd"];
  const row = (name, tokens, usd) => make("tr", "", {}, make("th", "", { scope: "row" }, name),
    TOKEN_KINDS.map((kind) => make("td", "", {}, number(tokens[kind]))),
    make("td", "usd", {}, usd === null ? words.unknownPrice : money(usd)));
  return make("div", "scrolling", {}, make("table", "costs", {},
    make("thead", "", {}, make("tr", "", {}, make("td"),
      columns.map((column) => make("th", "", { scope: "col" }, words[column])))),
    make("tbody", "", {}, row(words.perTurn, turn.tokens, cost), row(words.perConversation, all, sum))));
}

function findings(turn) {
  if (!turn.violations.length) return make("p", "clean", {}, make("span", "", { aria: { hidden: "true" } }, "✓ "), words.clean);
  return make("ul", "findings", {}, turn.violations.map(({ rule, excerpt, draft }) => make("li", "", {},
    make("span", "rule", { title: rule }, words.rules[rule] ?? rule),
    make("small", "", {}, filled(words.draft, { n: draft })), make("q", "", {}, excerpt))));
}

function fields() {
  const known = Object.entries(conversation.detail.conversation.fields);
  if (!known.length) return make("p", "empty", {}, words.noFields);
  return make("dl", "facts", {}, known.flatMap(([name, value]) =>
    [make("dt", "", { title: name }, about.fields?.[name] ?? name), make("dd", "", {}, value)]));
}

// -- Hands and keys ---------------------------------------------------------------------------------------------------

function submit() {
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  fitComposer();
  write(text);
}

function fitComposer() {
  const box = $("text");
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight, 160)}px`;
}

function view(name) {
  document.body.dataset.view = name;
  $("view-chat").setAttribute("aria-pressed", String(name === "chat"));
  $("view-inspector").setAttribute("aria-pressed", String(name === "inspector"));
  if (name === "chat") scrollDown();
}

function wire() {
  $("composer").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  $("text").addEventListener("input", fitComposer);
  $("text").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  $("entries").addEventListener("click", (event) => {
    const entry = event.target.closest(".has-turn");
    const isSelecting = !getSelection().isCollapsed;
    if (entry && event.target.closest(".bubble") && !event.target.closest("a, button") && !isSelecting) inspect(entry.dataset.turn);
  });
  $("new").addEventListener("click", () => { open(newId()); view("chat"); $("text").focus(); });
  $("turn-before").addEventListener("click", () => step(-1));
  $("turn-after").addEventListener("click", () => step(1));
  $("view-chat").addEventListener("click", () => view("chat"));
  $("view-inspector").addEventListener("click", () => view("inspector"));
  addEventListener("hashchange", () => {
    const name = nameFromAddress();
    if (name && name !== conversation.name) open(name);
  });
}

await readAbout();
wire();
open(nameFromAddress() ?? (CONVERSATION_NAME.test(lastName() ?? "") ? lastName() : newId()));
machine.load();
focusComposer();
