// Keep the files of this folder in the browser, so that the page opens without a network.
const OURS = "vtt-export-";
const VERSION = `${OURS}MODEL-DIGEST`;
const FILES = [
  "./", "index.html", "icon.svg", "style.css", "app.js", "classify.js", "resize.js", "model.json", "MODEL-FILE",
  "ort.wasm.bundle.min.js", "ort-wasm-simd-threaded.wasm",
];

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(VERSION).then((cache) => cache.addAll(FILES)));
});
self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith(OURS) && name !== VERSION) await caches.delete(name);
    await self.clients.claim();
  })());
});
self.addEventListener("fetch", (event) => {
  event.respondWith(caches.match(event.request, { cacheName: VERSION }).then((kept) => kept ?? fetch(event.request)));
});
