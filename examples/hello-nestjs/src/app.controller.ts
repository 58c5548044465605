import { Controller, Get, Header } from "@nestjs/common";
import { VersionService } from "./version.service";

@Controller()
export class AppController {
  constructor(private readonly versions: VersionService) {}

  @Get()
  index(): object {
    return { app: "hello-nestjs", version: this.versions.version };
  }

  @Get("version")
  @Header("Content-Type", "text/plain")
  version(): string {
    return `${this.versions.version}\n`;
  }

  @Get("healthz")
  @Header("Content-Type", "text/plain")
  healthz(): string {
    return "ok\n";
  }
}
