/* Prosa's chat on any page: <script src="https://YOUR-PROSA/widget.js" async></script>
 *
 * Attributes of the tag: data-language (pt, en; default: the page's), data-theme (light, dark; default: the visitor's),
 * data-color (#rrggbb), data-title, data-position (left, right), data-open (the chat is open at once).
 * The chat itself is a frame of Prosa's own origin: the page can neither read it nor be read by it. */
(() => {
  const script = document.currentScript;
  const origin = new URL(script.src).origin;
  const given = script.dataset;
  const language = (given.language || document.documentElement.lang || navigator.language).startsWith("pt") ? "pt" : "en";
  const words = { pt: { open: "Abrir o chat", close: "Fechar o chat" }, en: { open: "Open the chat", close: "Close the chat" } }[language];
  const color = /^#[0-9a-f]{6}$/i.test(given.color || "") ? given.color : "#1f5eff";
  const side = given.position === "left" ? "left" : "right";

  const frame = document.createElement("iframe");
  frame.src = `${origin}/widget?` + new URLSearchParams({ language, theme: given.theme || "", color, title: given.title || "" });
  frame.title = given.title || "Chat";
  frame.id = "prosa-widget";
  frame.hidden = true;
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-controls", frame.id);
  // The host and its style live in a shadow root, which styles of the page do not reach.
  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    button, iframe { position: fixed; ${side}: 20px; z-index: 2147483000; border: 0; }
    button { bottom: 20px; width: 56px; height: 56px; border-radius: 50%; background: ${color}; color: #fff; font-size: 26px;
      line-height: 1; cursor: pointer; box-shadow: 0 4px 16px rgb(0 0 0 / .3); }
    button:focus-visible { outline: 3px solid #fff; outline-offset: 2px; box-shadow: 0 0 0 6px ${color}; }
    iframe { bottom: 88px; width: 380px; height: min(600px, calc(100vh - 108px)); border-radius: 14px; background: transparent;
      box-shadow: 0 8px 32px rgb(0 0 0 / .3); color-scheme: normal; }
    iframe[hidden] { display: none; }
    @media (max-width: 460px) { iframe { inset: 0 0 88px 0; width: 100%; height: auto; border-radius: 0; } }`);
  root.adoptedStyleSheets = [sheet];
  root.append(frame, button);

  let loaded = false;
  const greet = () => { if (loaded && !frame.hidden) frame.contentWindow.postMessage({ prosa: "opened" }, origin); };
  frame.addEventListener("load", () => { loaded = true; greet(); });

  function show(open) {
    frame.hidden = !open;
    button.textContent = open ? "×" : "💬";
    button.setAttribute("aria-label", open ? words.close : words.open);
    button.setAttribute("aria-expanded", String(open));
    greet();
  }
  button.addEventListener("click", () => show(frame.hidden));
  window.addEventListener("message", (event) => {
    if (event.origin !== origin || event.source !== frame.contentWindow || event.data?.prosa !== "close") return;
    show(false);
    button.focus();
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !frame.hidden) show(false); });
  show("open" in given);
  (document.body ?? document.documentElement).append(host);
})();
