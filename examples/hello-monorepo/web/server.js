const fs = require("node:fs");
const path = require("node:path");
const express = require("express");

const version = fs.readFileSync(path.join(__dirname, "VERSION"), "utf8").trim();
const app = express();

app.get("/", (request, response) => response.type("text/plain").send(`Hello from two services ${version}\n`));
app.get("/version", (request, response) => response.type("text/plain").send(`${version}\n`));
app.get("/healthz", (request, response) => response.type("text/plain").send("ok\n"));

const server = app.listen(Number(process.env.PORT) || 3000, process.env.HOST || "127.0.0.1");

process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
