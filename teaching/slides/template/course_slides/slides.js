Reveal.initialize({
  hash: true, slideNumber: "c/t", center: false, transition: "none", width: 1200, height: 675,
  plugins: [RevealNotes],
});
// What is too tall for a slide is made smaller until it fits.
const fit = () => {
  const slide = Reveal.getCurrentSlide();
  slide.style.zoom = 1;
  for (let zoom = 1; slide.scrollHeight * zoom > 655 && zoom > 0.3; slide.style.zoom = zoom) zoom -= 0.04;
};
Reveal.on("ready", fit);
Reveal.on("slidechanged", fit);
addEventListener("toggle", fit, true);
