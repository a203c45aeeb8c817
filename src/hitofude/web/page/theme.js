/* Sets the chosen theme before the page is drawn. This is no module, because modules run later. */
try {
  const chosen = localStorage.getItem("hitofude.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  /* If the browser forbids storage, the system's theme is shown. */
}
