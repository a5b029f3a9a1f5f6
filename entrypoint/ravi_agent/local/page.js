"use strict"
// What came since is put into the lists marked data-live. The rest of the page stays as it is: what
// somebody is typing, where they are, the frames that are loaded.

const news = document.getElementById("news")

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]")
  if (!button) return
  const isCopied = await copy(button.dataset.copy)
  news.textContent = isCopied ? `Copied ${button.dataset.copy}.` : "The browser did not allow copying."
})

// A page that is not on loopback has no navigator.clipboard.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const focused = document.activeElement
    const field = document.body.appendChild(document.createElement("textarea"))
    field.value = text
    field.select()
    const isCopied = document.execCommand("copy")
    field.remove()
    focused.focus()
    return isCopied
  }
}

function update(list, next) {
  const wanted = new Map([...next.children].map((node) => [node.dataset.key, node]))
  const known = new Set([...list.children].map((node) => node.dataset.key))
  const focused = list.contains(document.activeElement) && document.activeElement.closest("[data-key]")
  for (const node of [...list.children]) {
    if (!wanted.get(node.dataset.key)?.isEqualNode(node)) node.remove()
  }
  let place = list.firstElementChild
  for (const node of next.children) {
    if (place?.dataset.key === node.dataset.key) place = place.nextElementSibling
    else list.insertBefore(document.importNode(node, true), place)
  }
  if (focused && !list.contains(document.activeElement)) {
    list.querySelector(`[data-key="${CSS.escape(focused.dataset.key)}"] :is(a, button, input)`)?.focus()
  }
  return [...wanted.keys()].filter((key) => !known.has(key)).length
}

async function refresh() {
  const answer = await fetch(location.href)
  if (!answer.ok) return
  const next = new DOMParser().parseFromString(await answer.text(), "text/html")
  let count = 0
  for (const list of document.querySelectorAll("[data-live]")) {
    const found = next.getElementById(list.id)
    if (found) count += update(list, found)
  }
  if (count) news.textContent = `${count} new.`
}

let isRefreshing = false
let isStale = false

async function change() {
  isStale = true
  if (isRefreshing) return
  isRefreshing = true
  while (isStale) {
    isStale = false
    // A server that is away comes back, and the stream says so.
    await refresh().catch(() => {})
    await new Promise((done) => setTimeout(done, 200))
  }
  isRefreshing = false
}

if (document.querySelector("[data-live]")) {
  const stream = new EventSource("/local/page/events")
  stream.addEventListener("change", change)
  stream.addEventListener("open", change)
}
