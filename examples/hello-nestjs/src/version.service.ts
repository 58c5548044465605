import { readFileSync } from "node:fs";
import { Injectable } from "@nestjs/common";

@Injectable()
export class VersionService {
  readonly version = readFileSync("VERSION", "utf8").trim();
}
