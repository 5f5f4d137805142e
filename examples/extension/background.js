// The service worker: sees that the offscreen document is there, and passes on what it and the popup say to each other.  It holds nothing,
// so it may be ended and started again at any time; a model's weights would be gone with it.

let creating = null; // two popups at once want one document

async function offscreenDocument() {
  if (await chrome.offscreen.hasDocument()) return;
  creating ??= chrome.offscreen
    .createDocument({ url: "offscreen.html", reasons: ["WORKERS"], justification: "The model runs in a worker, on the GPU." })
    .finally(() => (creating = null));
  await creating;
}

chrome.runtime.onConnect.addListener((popup) => {
  if (popup.name !== "popup") return;
  const offscreen = offscreenDocument().then(() => {
    const port = chrome.runtime.connect({ name: "offscreen" });
    port.onMessage.addListener((message) => popup.postMessage(message));
    port.onDisconnect.addListener(() => popup.disconnect());
    return port;
  });
  offscreen.catch((error) => popup.postMessage({ status: String(error) }));
  popup.onMessage.addListener(async (message) => (await offscreen).postMessage(message));
  popup.onDisconnect.addListener(async () => (await offscreen).disconnect()); // which ends the answer
});
