/* Before the page is drawn: the theme that was chosen. Not a module, for those come later. */
try {
  const chosen = localStorage.getItem("hitofude.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  /* Nothing is remembered where the browser forbids it; then the system's theme is shown. */
}
