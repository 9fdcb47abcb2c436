// Filters of the catalogue: words, kind, licence, weights. Without this script all cards are shown.
const form = document.getElementById("filters");
if (form) {
  const cards = [...document.querySelectorAll(".ew-card")].map((card) => ({ card, text: card.textContent.toLowerCase() }));
  const sections = [...document.querySelectorAll(".ew-cards")].map((cards) => ({
    cards,
    head: [cards.previousElementSibling, cards.previousElementSibling.previousElementSibling],
  }));

  const wanted = ({ card, text }, chosen) =>
    chosen.words.every((word) => text.includes(word)) &&
    (!chosen.kind || card.dataset.kind === chosen.kind) &&
    (!chosen.licence || card.dataset.licences.split(", ").includes(chosen.licence)) &&
    (!chosen.weights || card.dataset.weights === chosen.weights);

  const show = () => {
    const given = Object.fromEntries(new FormData(form));
    const chosen = { ...given, words: given.words.toLowerCase().split(/\s+/).filter(Boolean) };
    let shown = 0;
    for (const one of cards) {
      one.card.hidden = !wanted(one, chosen);
      shown += !one.card.hidden;
    }
    for (const { cards, head } of sections) {
      const none = !cards.querySelector(".ew-card:not([hidden])");
      for (const part of [cards, ...head]) part.hidden = none;
    }
    form.querySelector("output").textContent = `${shown} of ${cards.length}`;
  };

  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show));
  // A link such as catalogue.html?words=hair, and what a browser put back into the fields.
  for (const [name, value] of new URLSearchParams(location.search)) if (form.elements[name]) form.elements[name].value = value;
  show();
}
