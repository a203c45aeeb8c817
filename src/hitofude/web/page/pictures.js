/** Pictures that the user drops, pastes or chooses. */

/** stage: the element that is marked while a picture is dragged over the page; onPicture: called with its file. */
export function takePictures(stage, drop, button, input, onPicture) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) onPicture(input.files[0]);
    input.value = ""; // so that the same picture may be chosen again
  });
  document.addEventListener("paste", (event) => {
    const file = pictureOf(event.clipboardData);
    if (file) onPicture(file);
  });
  const showDrop = (isOver) => {
    drop.hidden = !isOver;
    stage.classList.toggle("over", isOver);
  };
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    showDrop(true);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && showDrop(false));
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // else the browser would open the picture in place of the page
    showDrop(false);
    if (event.dataTransfer.files.length) onPicture(event.dataTransfer.files[0]);
  });
}

function pictureOf(data) {
  return [...(data?.files ?? [])].find((file) => file.type.startsWith("image/"));
}
