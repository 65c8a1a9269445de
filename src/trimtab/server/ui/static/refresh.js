// Replaces the page's content every two seconds while the tab is visible; reading needs none of it.
const EVERY_MS = 2000;

async function refresh() {
  if (document.hidden) return;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    document.getElementById("page").replaceWith(fresh.getElementById("page"));
    document.querySelector("header").replaceWith(fresh.querySelector("header"));
  } catch {
    document.querySelector("header .right").textContent = "the server does not answer; trying again";
  }
}

setInterval(refresh, EVERY_MS);
