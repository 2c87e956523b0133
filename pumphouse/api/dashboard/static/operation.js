// An operation's page: once it is done, what it has made takes its place.
const root = document.getElementById("operation");

root.addEventListener("told", (event) => {
  const { goto, ended } = event.detail;
  if (goto) location.replace(goto);
  else if (ended) root.dataset.ended = "";
});
