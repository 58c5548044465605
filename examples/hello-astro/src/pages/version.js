import version from "../../VERSION?raw";

export const GET = () => new Response(version);
