const button = document.getElementById("copy");
const command = document.getElementById("command");
button.hidden = false;
button.addEventListener("click", async () => {
  getSelection().selectAllChildren(command);
  try {
    await navigator.clipboard.writeText(command.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Selected";
  }
});
