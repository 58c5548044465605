import { Module } from "@nestjs/common";
import { AppController } from "./app.controller";
import { VersionService } from "./version.service";

@Module({ controllers: [AppController], providers: [VersionService] })
export class AppModule {}
