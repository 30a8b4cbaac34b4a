addEventListener("DOMContentLoaded", () => {
  // Wide code can be scrolled with the keyboard too.
  document.querySelectorAll("pre").forEach((pre) => { pre.tabIndex = 0; });
  // Who opens the output after a prediction wants to read what is said about it.
  const folds = [...document.querySelectorAll("details.below-input, details.seen")];
  folds.forEach((fold, i) => {
    if (fold.matches(".seen")) return;
    fold.addEventListener("toggle", () => {
      const seen = folds.slice(i).find((next) => next.matches(".seen"));
      if (fold.open && seen) seen.open = true;
    });
  });
});
