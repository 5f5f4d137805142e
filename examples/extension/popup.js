const [form, status, output] = ["form", "#status", "output"].map((name) => document.querySelector(name));
const port = chrome.runtime.connect({ name: "popup" });

port.onMessage.addListener((message) => {
  if (message.status) status.textContent = message.status;
  output.textContent += message.text ?? "";
});
port.onDisconnect.addListener(() => (status.textContent = "The extension was ended: open this again."));

form.addEventListener("submit", (event) => {
  event.preventDefault();
  output.textContent = "";
  port.postMessage({ messages: [{ role: "user", content: form.question.value }] });
});
