const form = document.getElementById("search");
const field = document.getElementById("query");
const out = document.getElementById("found");
const cards = Array.from(document.querySelectorAll("[data-search]"));
function show() {
  const words = field.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const card of cards) {
    card.hidden = !words.every(word => card.dataset.search.includes(word));
    count += card.hidden ? 0 : 1;
  }
  out.textContent = count ? count + " " + {{ found|tojson }} : {{ nothing|tojson }};
}
form.hidden = false;
form.addEventListener("submit", event => event.preventDefault());
field.addEventListener("input", show);
show();
