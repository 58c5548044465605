import { NestFactory } from "@nestjs/core";
import { AppModule } from "./app.module";

async function start(): Promise<void> {
  const app = await NestFactory.create(AppModule);
  // On SIGTERM what is in flight is answered, and nothing new is taken.
  app.enableShutdownHooks();
  await app.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? "127.0.0.1");
}

void start();
