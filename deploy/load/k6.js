// The same load with k6: k6 run -e HOST=http://127.0.0.1:8000 -e SECRET=... -e NUMBER=... deploy/load/k6.js
// It ends with 99 when a threshold is crossed. Without SECRET only the web chat is driven.
import http from "k6/http";
import crypto from "k6/crypto";
import { check } from "k6";
import { Counter, Trend } from "k6/metrics";
import { uuidv4 } from "https://jslib.k6.io/k6-utils/1.4.0/index.js";

const HOST = __ENV.HOST || "http://127.0.0.1:8000";
const SECRET = __ENV.SECRET || "";
const NUMBER = __ENV.NUMBER || "";
const DURATION = __ENV.DURATION || "5m";
const TEXTS = ["Oi, bom dia", "Quanto custa?", "Qual o horário?", "Obrigado"];

const ack = new Trend("ack", true);
const reply = new Trend("reply", true);
const lost = new Counter("lost");

const scenarios = {
  chat: { executor: "constant-arrival-rate", exec: "chat", rate: 30, duration: DURATION, preAllocatedVUs: 200 },
};
if (SECRET) {
  const signed = { executor: "constant-arrival-rate", duration: DURATION, preAllocatedVUs: 100 };
  scenarios.whatsapp = { ...signed, exec: "whatsapp", rate: 70 };
  scenarios.statuses = { ...signed, exec: "statuses", rate: 30 };
}

export const options = {
  scenarios,
  thresholds: {
    ack: ["p(99)<100"],
    reply: ["p(95)<2000"],
    http_req_failed: ["rate<0.01"],
    lost: ["count==0"],
    dropped_iterations: ["count==0"],
  },
};

function post(value) {
  const metadata = { display_phone_number: "1", phone_number_id: NUMBER };
  const change = { field: "messages", value: { messaging_product: "whatsapp", metadata, ...value } };
  const body = JSON.stringify({ object: "whatsapp_business_account", entry: [{ id: "1", changes: [change] }] });
  const signature = `sha256=${crypto.hmac("sha256", SECRET, body, "hex")}`;
  const headers = { "Content-Type": "application/json", "X-Hub-Signature-256": signature };
  const answer = http.post(`${HOST}/webhooks/whatsapp`, body, { headers, tags: { name: "whatsapp" } });
  ack.add(answer.timings.duration);
  check(answer, { acknowledged: (one) => one.status === 200 });
}

const now = () => String(Math.floor(Date.now() / 1000));
const person = () => `55119${String(Math.floor(Math.random() * 1e8)).padStart(8, "0")}`;
const text = () => TEXTS[Math.floor(Math.random() * TEXTS.length)];

export function whatsapp() {
  const from = person();
  const message = { from, id: `wamid.${uuidv4()}`, timestamp: now(), type: "text", text: { body: text() } };
  post({ contacts: [{ profile: { name: "Ana" }, wa_id: from }], messages: [message] });
}

export function statuses() {
  post({ statuses: [{ id: `wamid.${uuidv4()}`, status: "delivered", recipient_id: person(), timestamp: now() }] });
}

export function chat() {
  const path = `${HOST}/chat/load-${uuidv4()}/messages`;
  const began = Date.now();
  const json = { "Content-Type": "application/json" };
  const sent = http.post(path, JSON.stringify({ id: "m-1", text: text() }), { headers: json, tags: { name: "chat" } });
  ack.add(sent.timings.duration);
  if (!check(sent, { accepted: (one) => one.status === 202 })) return;
  const token = sent.json("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const found = http.get(`${path}/m-1?wait=30`, { headers, timeout: "40s", tags: { name: "wait" } });
  const status = found.status === 200 ? found.json("status") : "";
  if (status === "replied") reply.add(Date.now() - began);
  // "escalated": the team was called, and answers it.
  else if (status !== "escalated") lost.add(1);
}
