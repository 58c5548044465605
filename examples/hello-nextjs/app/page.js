import { version } from "../lib/version";

export default function Page() {
  return <h1>Hello from Next.js {version}</h1>;
}
