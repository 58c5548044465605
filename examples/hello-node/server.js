const fs = require("node:fs");
const path = require("node:path");
const express = require("express");

const version = fs.readFileSync(path.join(__dirname, "VERSION"), "utf8").trim();
const app = express();
app.disable("x-powered-by");

app.get("/", (request, response) => response.json({ app: "hello-node", version, pid: process.pid }));
app.get("/version", (request, response) => response.type("text/plain").send(`${version}\n`));
app.get("/healthz", (request, response) => response.type("text/plain").send("ok\n"));
app.get("/slow", (request, response) => {
  const ms = Math.min(Math.max(Number(request.query.ms) || 1000, 0), 60000);
  setTimeout(() => response.json({ version, ms }), ms);
});

const server = app.listen(Number(process.env.PORT) || 3000, process.env.HOST || "127.0.0.1");

// What is in flight is answered; nothing new is taken.
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
