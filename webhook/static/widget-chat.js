/* The chat inside the widget's frame. Replies come as Server-Sent Events, which repeat what was missed; what the person
 * wrote is kept in this browser. Whatever people or a model wrote becomes a text node, never markup. */

const WORDS = {
  pt: { title: "Atendimento", write: "Escreva uma mensagem", send: "Enviar", typing: "digitando…", lost: "Sem conexão. Tentando de novo…",
    failed: "Não foi enviada.", retry: "Tentar de novo", slow: "Mensagens demais. Espere um momento.", file: "Abrir arquivo" },
  en: { title: "Chat", write: "Write a message", send: "Send", typing: "typing…", lost: "No connection. Trying again…",
    failed: "It was not sent.", retry: "Try again", slow: "Too many messages. Wait a moment.", file: "Open the file" },
};

const asked = new URLSearchParams(location.search);
const language = asked.get("language") === "pt" ? "pt" : "en";
const words = WORDS[language];
const element = (id) => document.getElementById(id);
const [log, text, notice] = [element("log"), element("text"), element("notice")];

const kept = read();
let events = null;
let last = 0;

document.documentElement.lang = language;
const prefersDark = matchMedia("(prefers-color-scheme: dark)").matches;
document.documentElement.classList.toggle("dark", asked.get("theme") ? asked.get("theme") === "dark" : prefersDark);
if (/^#[0-9a-f]{6}$/i.test(asked.get("color") ?? "")) document.documentElement.style.setProperty("--accent", asked.get("color"));
document.title = element("title").textContent = asked.get("title") || words.title;
element("label").textContent = text.placeholder = words.write;
element("send").textContent = words.send;
log.setAttribute("aria-label", document.title);

/* The name is the secret of a conversation, so it is long; a token of the server is kept beside it. */
function read() {
  try {
    const found = JSON.parse(localStorage.getItem("prosa-widget"));
    if (found?.name) return found;
  } catch { /* No storage in this frame: the conversation lasts as long as the page. */ }
  const random = crypto.getRandomValues(new Uint8Array(20));
  return { name: "w-" + [...random].map((byte) => byte.toString(16).padStart(2, "0")).join(""), token: null, mine: [] };
}

function save() {
  kept.mine = kept.mine.slice(-100);
  try { localStorage.setItem("prosa-widget", JSON.stringify(kept)); } catch { /* As above. */ }
}

function show(className, content) {
  const line = document.createElement("p");
  line.className = className;
  line.textContent = content;
  typing(false);
  log.append(line);
  log.scrollTop = log.scrollHeight;
  return line;
}

function typing(shows) {
  log.querySelector(".typing")?.remove();
  if (!shows) return;
  const line = document.createElement("p");
  line.className = "faint typing";
  line.textContent = words.typing;
  log.append(line);
  log.scrollTop = log.scrollHeight;
}

function showReply(reply) {
  for (const one of reply.messages ?? [reply]) {
    const line = show("theirs", one.text || "");
    const link = one.media?.link ?? one.link;
    if (/^https?:/.test(link ?? "")) {
      const anchor = document.createElement("a");
      Object.assign(anchor, { href: link, target: "_blank", rel: "noopener noreferrer", textContent: one.media?.filename || words.file });
      line.append(" ", anchor);
    }
    if (!line.textContent.trim()) line.remove();
    const options = [...(one.buttons ?? []), ...(one.rows ?? [])];
    if (!options.length) continue;
    log.querySelectorAll(".options").forEach((old) => old.remove());
    const group = document.createElement("div");
    group.className = "options";
    for (const option of options) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = option.title ?? option;
      button.addEventListener("click", () => { group.remove(); write(button.textContent); text.focus(); });
      group.append(button);
    }
    log.append(group);
    log.scrollTop = log.scrollHeight;
  }
}

async function write(content, id = crypto.randomUUID()) {
  const line = show("mine", content);
  kept.mine.push({ id, text: content, after: last });
  save();
  try {
    const headers = { "Content-Type": "application/json", ...(kept.token ? { Authorization: `Bearer ${kept.token}` } : {}) };
    const answer = await fetch(`/chat/${kept.name}/messages`, { method: "POST", headers, body: JSON.stringify({ id, text: content }) });
    if (answer.status === 401) {
      /* The token has ended, or another client has this name: the next attempt begins a conversation of its own. */
      try { localStorage.removeItem("prosa-widget"); } catch { /* As above. */ }
      Object.assign(kept, read());
      events?.close();
      last = 0;
    }
    if (!answer.ok) throw new Error(answer.status === 429 ? words.slow : words.failed);
    const { token } = await answer.json();
    if (token) { kept.token = token; save(); }
    typing(true);
    listen();
  } catch (error) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "retry", textContent: words.retry });
    const failed = show("faint", `${error instanceof TypeError ? words.failed : error.message} `);
    failed.append(button);
    button.addEventListener("click", () => {
      failed.remove();
      line.remove();
      kept.mine = kept.mine.filter((one) => one.id !== id);
      write(content, id);
    });
  }
}

function listen() {
  if (events && events.readyState !== EventSource.CLOSED) return;
  const query = new URLSearchParams({ after: String(last), ...(kept.token ? { token: kept.token } : {}) });
  events = new EventSource(`/chat/${kept.name}/events?${query}`);
  events.addEventListener("open", () => { notice.hidden = true; });
  events.addEventListener("error", () => {
    notice.textContent = words.lost;
    notice.hidden = false;
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
  events.addEventListener("reply", (event) => {
    const number = Number(event.lastEventId);
    if (number && number <= last) return;
    restore(number);
    last = number || last;
    showReply(JSON.parse(event.data).reply);
  });
}

/* What this browser wrote before a reply is shown before it. */
const waiting = [...kept.mine];
function restore(number) {
  while (waiting.length && waiting[0].after < number) show("mine", waiting.shift().text);
}

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const content = text.value.trim();
  if (!content) return;
  text.value = "";
  restore(Infinity);
  write(content);
});
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  element("form").requestSubmit();
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") parent.postMessage({ prosa: "close" }, "*"); });
window.addEventListener("message", (event) => { if (event.source === parent && event.data?.prosa === "opened") text.focus(); });

if (kept.mine.length) {
  listen();
  events.addEventListener("open", () => setTimeout(() => restore(Infinity), 500), { once: true });
}
