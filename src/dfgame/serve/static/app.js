// Sends a dropped or chosen file with a bar, and follows a job. All of it works without this, by plain forms.
"use strict";

const said = document.getElementById("said");
const form = document.getElementById("upload");
const job = document.getElementById("job");
const bar = document.getElementById("done");

function refused(text, fallback) {
  try {
    return JSON.parse(text).error || fallback;
  } catch {
    return fallback;
  }
}

function send(file) {
  if (file.size > Number(form.dataset.most)) {
    said.textContent = `This file is larger than the ${(form.dataset.most / 1e6).toLocaleString("en")} MB that are taken here; send a smaller one, or a part of it.`;
    return;
  }
  const bar = document.getElementById("sent");
  const button = form.querySelector("button");
  const request = new XMLHttpRequest();
  const body = new FormData();
  const end = (sentence) => {
    said.textContent = sentence;
    bar.hidden = true;
    button.disabled = false;
  };
  body.append("file", file);
  bar.hidden = false;
  bar.value = 0;
  button.disabled = true;
  said.textContent = "Sending…";
  request.upload.onprogress = (event) => {
    if (event.lengthComputable) bar.value = event.loaded / event.total;
  };
  request.upload.onload = () => {
    said.textContent = "Sent. Looking at what it is…";
  };
  request.onload = () => {
    if (request.status === 202) location.assign(`/jobs/${JSON.parse(request.responseText).id}`);
    else end(refused(request.responseText, `The server refused it (${request.status}).`));
  };
  request.onerror = () => end("The connection broke off. Try again.");
  request.open("POST", "/api/jobs");
  request.send(body);
}

function prepare() {
  const input = document.getElementById("file");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.files.length) send(input.files[0]);
  });
  for (const name of ["dragenter", "dragover"]) {
    form.addEventListener(name, (event) => {
      event.preventDefault();
      form.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) form.addEventListener(name, () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    const files = event.dataTransfer.files;
    if (files.length > 1) said.textContent = "One file at a time, please.";
    else if (files.length) send(files[0]);
  });
}

function words(now) {
  if (now.progress >= bar.dataset.inspected) return "Inspected; the report is being made.";
  if (now.status === "running") return `Being inspected: ${Math.round(now.progress * 100)}%.`;
  if (now.place > 1) return `Waiting; ${now.place - 1} ${now.place === 2 ? "file" : "files"} before it.`;
  return "Waiting; next in the queue.";
}

async function follow() {
  try {
    const answer = await fetch(`/api/jobs/${job.dataset.id}`);
    const now = await answer.json();
    if (!answer.ok || !["queued", "running"].includes(now.status)) {
      location.reload();
      return;
    }
    if (now.progress >= bar.dataset.inspected) bar.removeAttribute("value");
    else bar.value = now.progress;
    if (said.textContent !== words(now)) said.textContent = words(now);
  } catch {
    said.textContent = "The server does not answer; trying again.";
  }
  setTimeout(follow, 1000);
}

if (form) prepare();
if (job) follow();
