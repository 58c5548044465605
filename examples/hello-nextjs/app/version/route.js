import { version } from "../../lib/version";

export const dynamic = "force-dynamic";

export function GET() {
  return new Response(`${version}\n`, { headers: { "content-type": "text/plain" } });
}
